"""``dsbench list published``: what papers print, with its source and caveats, apart from all that is measured here."""

from __future__ import annotations

import json
from dataclasses import asdict


def list_published(env: str | None, as_json: bool) -> int:
    """Print the published numbers of one environment, or of all, and the caveats that hang on them.

    Raises:
        UnknownName: nothing is published of that environment.
    """
    from dsbench.cli.summary import print_table
    from dsbench.reports.published import PublishedScore, published, published_scores

    book = published()
    scores = published_scores(env)
    if as_json:
        texts = [{"caveats": {key: book.caveats[key] for key in one.caveats}} for one in scores]
        print(json.dumps([asdict(one) | text for one, text in zip(scores, texts, strict=True)], indent=2))
        return 0

    def cells(one: PublishedScore) -> tuple[str, ...]:
        seeds = "-" if one.seeds is None else str(one.seeds)
        where = f"{one.source}, {one.table}"
        return one.env, one.data or "-", one.method, one.text, seeds, where, ", ".join(one.caveats)

    by_task = sorted(scores, key=lambda one: (one.env, one.data or "", one.measure))
    for measure in dict.fromkeys(one.measure for one in by_task):
        rows = [cells(one) for one in by_task if one.measure == measure]
        print_table(("env", "data", "method", measure, "seeds", "source", "caveats"), rows)
        print()
    used = [key for key in book.caveats if any(key in one.caveats for one in scores)]
    print_table(("caveat", "what it says"), [(key, book.caveats[key]) for key in used])
    print()
    sources = [key for key in book.sources if any(key == one.source for one in scores)]
    print_table(("source", "what it is"), [(key, book.sources[key].text) for key in sources])
    return 0
