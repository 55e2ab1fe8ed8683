"""The product list in a terminal."""

from __future__ import annotations

from tests.support.commands import Run


def test_it_searches_filters_and_sorts_as_the_page_does(run: Run) -> None:
    run("add", "B-1", "1.jpg", "--name", "Café Crème", "--brand", "X")
    run("add", "A-1", "2.jpg", "--name", "Tee", "--brand", "X")
    run("add", "C-1", "3.jpg", "--name", "Brot")

    def listed(*options: str) -> str:
        return "".join(line[0] for line in run("list", *options).stdout.splitlines())

    assert listed("creme cafe") == "B"
    assert (listed("--brand", "X"), listed("--brand", "X", "--sort", "name")) == ("AB", "BA")
    assert (listed("--sort", "newest"), listed("--pending"), listed("--with-warnings", "none")) == ("CAB", "", "")
