"""The whole story on one machine: a visit from the bytes of four devices to the specialist's report on the tablet."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from pathlib import Path

import typer

from zhenbao.words import Words


def run_demo(words: Words, *, ecg: Path | None, as_json: bool, keep: bool, pictures: Path | None) -> int:
    """Play the visit and tell it. Returns the exit code: 0 only if nothing was lost and nothing stored twice.

    Args:
        ecg: a WFDB recording to replay instead of the synthetic ECG.
        as_json: print one JSON object and nothing else.
        keep: leave the hub's page up until Ctrl-C.
        pictures: folder for the figures of the case page, as SVG.
    """
    from zhenbao.demo.kit_process import KitFailed
    from zhenbao.demo.story import DemoStuck, Stage, play
    from zhenbao.demo.summary import as_json as told_as_json
    from zhenbao.demo.summary import as_text

    def narrate(key: str, **values: object) -> None:
        if not as_json:
            typer.echo(words(key, **values))

    # What the simulated radio logs of links that break off is part of the play.
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="zhenbao-demo-") as folder:
        try:
            with Stage(Path(folder), words, ecg=ecg, narrate=narrate) as stage:
                story = play(stage)
                story.seconds = time.monotonic() - began_s
                typer.echo(json.dumps(told_as_json(story), ensure_ascii=False) if as_json else as_text(story, words))
                if pictures is not None:
                    stage.save_pictures(pictures)
                    narrate("demo.pictures", folder=pictures)
                if keep:
                    typer.echo(
                        words("demo.keep", url=story.hub_url, account=story.account, password=story.password),
                        err=as_json,
                    )
                    _until_interrupted()
        except (DemoStuck, KitFailed) as error:
            typer.echo(words("demo.stuck", what=error), err=True)
            return 1
    return 0 if story.counts["lost"] == story.counts["duplicated"] == 0 else 1


def _until_interrupted() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
