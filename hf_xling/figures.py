"""What all figures share: colours, style, legends. Drawn with matplotlib's objects alone: no pyplot and no display."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # matplotlib is loaded when something is drawn, not for a command's --help
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

# Okabe and Ito's palette, told apart with any colour vision.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
INK, MUTED = "#1f2328", "#59636e"
STYLE = Path(__file__).with_suffix(".mplstyle")


@contextmanager
def in_style(**style: Any) -> Iterator[None]:
    """Draw in this style, with `style` over it, whatever the user's matplotlibrc says."""
    import matplotlib.style

    with matplotlib.style.context(["default", STYLE, style]), warnings.catch_warnings():
        # Names may be in a script, such as Tamil, that matplotlib's font lacks.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        yield


def legend(owner: Figure | Axes, handles: Iterable[tuple[Artist, str]], **options: Any) -> Legend:
    """A legend of (handle, label). Labels are set afterwards: matplotlib drops those that begin with an underscore."""
    artists, labels = zip(*handles, strict=True)
    made = owner.legend(artists, [str(number) for number in range(len(labels))], **options)
    for text, label in zip(made.get_texts(), labels, strict=True):
        text.set_text(label)
    return made


def save_png(figure: Figure, path: Path) -> None:
    """Write `figure` as a PNG, the same bytes for the same numbers."""
    figure.savefig(path, format="png", metadata={"Software": None})
