"""The deployment files: what they name exists, what they promise holds. No container engine is needed."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click import Context
from redis import AuthenticationError, Redis, RedisError

from hitwall.cli import main
from hitwall.redis_server import dying_with_parent, find_server
from tests.service import ROOT, TIMEOUT, Service, at_work, children, total
from tests.waiting import until
from tracker.settings import Settings, variable

DOCKER = ROOT / "docker"
SETTINGS = {variable(row) for row in fields(Settings)}
NOBODY = 65534
MOST = 5.0  # seconds in which a process ends

# Root and source unwritable, one directory left, a user without rights, as process 1 of a namespace of
# its own; the one capability is to read what the user of the tests may keep from others, as in /root.
CONFINED = """
mount --bind "$1" "$1" && mount --bind "$2" "$2"
mount -o remount,bind,ro "$2" && mount -o remount,bind,ro /
shift 2
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --inh-caps -all,+dac_read_search \\
    --ambient-caps +dac_read_search --bounding-set -all,+dac_read_search "$@"
"""


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile, an instruction a line: its word and the rest."""
    text = re.sub(r"\\\n\s*", "", (DOCKER / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def rest_of(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def plain(value: str) -> str:
    """A value of compose.yaml with its variables as docker/.env would have them."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: f"<{found[1]}>", value)


def test_every_container_has_as_few_rights_as_it_needs(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert int(service["stop_grace_period"].removesuffix("s")) > MOST, name
        assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service), name
    assert rest_of("USER") == ["hitwall"]


def test_only_nginx_is_published_and_on_loopback_until_told_otherwise(compose: Any) -> None:
    services = compose["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"nginx": ["${EDGE_PUBLISH:-127.0.0.1:8080}:8080"]}
    assert compose["networks"]["inner"]["internal"] is True
    assert list(services["redis"]["networks"]) == list(services["count"]["networks"]) == ["inner"]


def test_the_containers_are_told_settings_that_exist_and_addresses_that_fit(compose: Any) -> None:
    services = compose["services"]
    at = {name: one["networks"]["inner"].get("ipv4_address") for name, one in services.items()}
    edge = services["nginx"]["environment"]
    assert edge["EDGE_WEB_A"] == f"{at['web-a']}:8000"
    assert edge["EDGE_WEB_B"] == f"{at['web-b']}:8000"
    assert services["nginx"]["ports"][0].endswith(f":{edge['EDGE_LISTEN']}")
    asked = set(re.findall(r"\$\{(\w+)\}", (DOCKER / "nginx.conf").read_text()))
    assert asked == {name for name in edge if name.startswith("EDGE_")}
    for name in ("web-a", "web-b", "count", "follow"):
        told = {key: plain(str(value)) for key, value in services[name]["environment"].items()}
        assert set(told) <= SETTINGS, name
        assert urlsplit(told["REDIS_URL"]).hostname == at["redis"]
        assert told["HITWALL_TRUSTED_PROXIES"] == "1"
    volumes = [volume for one in services.values() for volume in one["volumes"]]
    named = [volume.split(":")[0] for volume in volumes]
    assert named.count("edge") == 3  # nginx writes there, and hitwall follow reads
    own = [name for name in named if name != "edge"]
    assert len(set(own)) == len(own)  # two spools in one directory would take each other's
    for source in named:
        assert source in compose["volumes"] or (DOCKER / source).is_file(), source


def test_the_example_of_secrets_names_all_that_compose_asks_for_and_holds_none() -> None:
    example = dict(
        line.split("=", 1)
        for line in (DOCKER / "env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    asked = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    assert set(example) == asked
    required = set(re.findall(r"\$\{(\w+):\?", (DOCKER / "compose.yaml").read_text()))
    assert {name for name, value in example.items() if not value} == required
    Settings.read({name: value for name, value in example.items() if name.startswith("HITWALL_")})
    assert "/docker/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_image_is_built_from_what_is_there_and_of_a_named_version() -> None:
    bases = [base.split()[0] for base in rest_of("FROM")]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases[0])
    let_in = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [source for copy in rest_of("COPY") if "--from" not in copy for source in copy.split()[:-1]]
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_in, source
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.split(".")[0] for name in project["tool"]["setuptools"]["packages"]}
    assert {*packages, "static", "requirements.txt", "pyproject.toml"} <= set(copied)


def test_the_image_says_settings_and_commands_that_exist(compose: Any) -> None:
    environment = dict(pair.split("=", 1) for line in rest_of("ENV") for pair in shlex.split(line))
    assert {name for name in environment if name.startswith("HITWALL_")} <= SETTINGS
    services = compose["services"]
    said = [json.loads(rest_of("CMD")[-1]), services["count"]["command"], services["follow"]["command"]]
    assert [command[0] for command in said] == ["hitwall"] * 3
    assert [command[1] for command in said] == ["serve", "count", "follow"]
    assert {"serve", "count", "follow"} <= set(main.list_commands(Context(main)))
    assert rest_of("VOLUME") == [environment["HITWALL_DATA"]]
    assert rest_of("EXPOSE") == [environment["HITWALL_PORT"]]


def test_the_check_of_health_tells_a_process_that_answers_from_one_that_does_not(service: Service) -> None:
    command = json.loads(rest_of("HEALTHCHECK")[0].partition("CMD ")[2])
    here = [sys.executable, *(part.replace(":8000/", f":{service.port}/") for part in command[1:])]
    assert subprocess.run(here, timeout=TIMEOUT).returncode == 0
    service.kill("serve")
    assert subprocess.run(here, timeout=TIMEOUT, stderr=subprocess.DEVNULL).returncode != 0


def test_the_redis_of_the_image_keeps_all_throws_nothing_away_and_asks_for_a_password(
    tmp_path: Path, free_port: int
) -> None:
    command = [str(find_server()), str(DOCKER / "redis.conf"), "--port", str(free_port)]
    process = subprocess.Popen(
        [*command, "--requirepass", "secret"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        preexec_fn=dying_with_parent(),
    )
    try:
        with (
            Redis(port=free_port, password="secret", decode_responses=True) as redis,
            Redis(port=free_port) as stranger,
        ):
            until(lambda: answers(redis))
            kept = {name: redis.config_get(name)[name] for name in ("appendonly", "maxmemory-policy", "save")}
            assert kept == {"appendonly": "yes", "maxmemory-policy": "noeviction", "save": ""}
            with pytest.raises(AuthenticationError):
                stranger.ping()
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


class Confined(Service):
    """A service whose processes have what a container of compose.yaml gives them."""

    def start(self, name: str, command: str = "") -> None:
        data = self.settings.data
        inner = [sys.executable, "-P", "-m", "hitwall", command or name]
        outer = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", CONFINED, "sh"]
        environ = {
            name: value for name, value in self.environ.items() if name.startswith(("HITWALL_", "REDIS_"))
        }
        environ |= {
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(data),
            "PATH": os.environ["PATH"],
        }
        self.processes[name] = subprocess.Popen(
            [*outer, str(data), str(ROOT), *inner],
            env=environ,
            cwd="/",
            start_new_session=True,
            preexec_fn=dying_with_parent(),
        )
        if name == "serve":
            until(self.answers, 30)

    def first(self, name: str) -> int:
        """Our number for what is process 1 in there."""
        return until(lambda: children(self.processes[name].pid))[0]


@contextmanager
def confined(url: str, data: Path) -> Iterator[Confined]:
    data.mkdir()
    os.chown(data, NOBODY, NOBODY)
    made = Confined(url, data=str(data), workers="2", token="a-token-that-nobody-guesses")
    with at_work(made) as service:
        yield service


def test_serve_and_count_run_as_process_1_of_nobody_on_a_read_only_root_and_end_in_time(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    with confined(redis_url, tmp_path / "data") as service:
        assert service.hit().status == 200
        until(lambda: total(redis) == 1)
        for name in ("serve", "count"):
            status = Path(f"/proc/{service.first(name)}/status").read_text()
            assert re.search(rf"^Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}", status, re.MULTILINE)
            assert re.search(r"^NSpid:\t\d+\t1$", status, re.MULTILINE)
            mounts = Path(f"/proc/{service.first(name)}/mounts").read_text()
            assert re.search(r"^\S+ / \S+ ro", mounts, re.MULTILINE)
        for name in ("serve", "count"):
            begun = time.monotonic()
            os.kill(service.first(name), signal.SIGTERM)
            assert service.processes.pop(name).wait(TIMEOUT) == 0
            assert time.monotonic() - begun < MOST
