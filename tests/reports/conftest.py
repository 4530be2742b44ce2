"""What tests of reports share."""

from __future__ import annotations

import pytest

from dsbench.reports import figures


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures keep their title, caption and curves, and are no pictures: drawing is most of the time of a report."""
    monkeypatch.setattr(figures, "render", lambda canvas, name, title: ("<svg/>", b""))
