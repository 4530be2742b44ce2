"""``dsbench list published``: what papers print, with its source and caveats, apart from all that is measured here."""

from __future__ import annotations

from dataclasses import asdict

from dsbench.text import json_text, say


def list_published(env: str | None, as_json: bool) -> int:
    """Print the published numbers of one environment, or of all, and the caveats that hang on them.

    Normalised scores come first; what is measured otherwise has a table with the measure in each row.

    Raises:
        UnknownName: nothing is published of that environment.
    """
    from dsbench.cli.tables import print_table
    from dsbench.reports.published import NORMALISED, PublishedScore, published, published_scores

    book = published()
    scores = published_scores(env)
    if as_json:
        texts = [{"caveats": {key: book.caveats[key] for key in one.caveats}} for one in scores]
        say(*json_text([asdict(one) | text for one, text in zip(scores, texts, strict=True)]).split("\n"))
        return 0

    def cells(one: PublishedScore) -> tuple[str, ...]:
        seeds = "-" if one.seeds is None else str(one.seeds)
        where = f"{one.source}, {one.table}"
        measure = () if one.measure == NORMALISED else (one.measure if one.larger_is_better else f"{one.measure} ↓",)
        return (one.env or "-", one.data or "-", one.method, *measure, one.text, seeds, where, ", ".join(one.caveats))

    by_task = sorted(scores, key=lambda one: (one.env is None, one.env or "", one.data or "", one.measure))
    normalised = [cells(one) for one in by_task if one.measure == NORMALISED]
    others = [cells(one) for one in by_task if one.measure != NORMALISED]
    for headings, rows in (((NORMALISED,), normalised), (("measure (↓ less is better)", "value"), others)):
        if rows:
            print_table(("env", "data", "method", *headings, "seeds", "source", "caveats"), rows)
            say()
    used = [key for key in book.caveats if any(key in one.caveats for one in scores)]
    print_table(("caveat", "what it says"), [(key, book.caveats[key]) for key in used])
    say()
    sources = [key for key in book.sources if any(key == one.source for one in scores)]
    print_table(("source", "what it is"), [(key, book.sources[key].text) for key in sources])
    return 0
