"""How a configuration becomes the rules of each profile."""

import pytest

from iiif_server.api import ImageNotFound, Profile, ProfileType
from iiif_server.config.model import Config, ConfiguredProfile
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format
from iiif_server.profiles.options import ProfileOptions
from iiif_server.workshop import render_rules

ABILITIES = {"lossless": False, "formats": ["jpg", "png", "webp"], "codecs": "some"}


def config(top=None, **profiles):
    configured = {
        name: ConfiguredProfile(name=name, type="disk", options=ProfileOptions(rights="x", **options))
        for name, options in profiles.items()
    }
    return Config(**(top or {}), profiles=configured)


def test_each_profile_has_its_own():
    top = {"webp_quality": 30, "max_width": 900}
    rules = render_rules(config(top, plain={}, other={"webp_quality": 70, "max_height": 50}), ABILITIES)

    assert (rules["plain"].settings.webp_quality, rules["other"].settings.webp_quality) == (30, 70)
    assert rules["plain"].limits == Limits(900, None, 100_000_000)
    assert rules["other"].limits == Limits(900, 50, 100_000_000)
    for rule in rules.values():
        assert rule.formats == {Format.JPG, Format.PNG, Format.WEBP}
        assert (rule.settings.lossless, rule.renderer) == (False, "some")


def test_preferred_formats_that_cannot_be_written_are_left_out_with_one_warning(caplog):
    rules = render_rules(
        config(
            {"preferred_formats": (Format.JP2, Format.WEBP)},
            plain={},
            other={"preferred_formats": (Format.AVIF, Format.PNG, Format.JPG)},
            none={"preferred_formats": ()},
        ),
        ABILITIES,
    )

    assert rules["plain"].preferred_formats == (Format.WEBP,)
    assert rules["other"].preferred_formats == (Format.PNG, Format.JPG)
    assert rules["none"].preferred_formats == ()
    assert [record.getMessage() for record in caplog.records] == [
        "preferred_formats: left out, as no codec here writes them: avif, jp2"
    ]


@pytest.mark.parametrize("preferred", [(), (Format.WEBP, Format.JPG)])
def test_no_warning_without_a_reason(caplog, preferred):
    rules = render_rules(config({"preferred_formats": preferred}, plain={}), ABILITIES)

    assert rules["plain"].preferred_formats == preferred
    assert caplog.records == []


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", ["debug", "warning"]), ("WARNING", ["warning"])])
async def test_a_profile_logs_from_its_own_level_on(iiif_app, iiif_profile, caplog, level, expected):
    """Whatever the level of the server is."""
    setup = iiif_profile(ProfileType("talking", ProfileOptions, TalkingProfile), log_level=level)
    async with iiif_app(setup, log_level="ERROR") as app:
        assert (await app.get("/talking:a/info.json")).status == 404

    said = [record for record in caplog.records if record.name == "iiif_server.profile.talking"]
    assert [record.getMessage() for record in said] == expected


class TalkingProfile(Profile[ProfileOptions]):
    """Logs, and knows nothing."""

    async def get_info(self, name):
        self.context.logger.debug("debug")
        self.context.logger.warning("warning")
        raise ImageNotFound

    def use_source(self, info, size_hint=None):
        raise NotImplementedError

    async def resolve_original_size(self, name):
        raise NotImplementedError

    def stream_original(self, name, chunk_size):
        raise NotImplementedError
