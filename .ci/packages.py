"""Build every wheel, check what is in it, and try the core with one provider in an empty environment.

Usage: packages.py [OUTDIR]   (a temporary folder without OUTDIR)
"""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALONE = ("chatport_core", "chatport_protocol_responses", "chatport_provider_deepseek")
SIZES = """
import importlib.metadata as m, json
print(json.dumps({d.name: sum(f.locate().stat().st_size for f in d.files) for d in m.distributions()}))
"""


BESIDE = ("chatport_surfaces", "chatport_gateway", "chatport_mcp", "chatport_bulk")
SERVERS = {
    "uvicorn",
    "httptools",
    "zstandard",
    "starlette",
    "mcp",
    "pyarrow",
    *(name.replace("_", "-") for name in BESIDE),
}
LOADED = """
import sys
before = set(sys.modules)
import chatport
tops = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(tops - sys.stdlib_module_names))
"""


def need(condition: object, message: str) -> None:
    if not condition:
        sys.exit(f"packages: {message}")


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    need(done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(member: Path, out: Path) -> Path:
    """Build one wheel and check its source settings and its content."""
    name = member.relative_to(ROOT)
    need(not (member / "setup.py").exists() and not (member / "setup.cfg").exists(), f"{name}: setup file")
    settings = tomllib.loads((member / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {"requires": ["hatchling"], "build-backend": "hatchling.build"}
    need(settings["build-system"] == wanted, f"{name}: build-system is not plain hatchling")
    need("dynamic" not in settings["project"], f"{name}: dynamic metadata")
    need('"hooks"' not in json.dumps(settings.get("tool", {})), f"{name}: build hooks")
    need(not (member / "hatch_build.py").exists(), f"{name}: hatch_build.py")

    package = next(path.parent.name for path in member.glob("src/*/__init__.py"))
    project = settings["project"]
    stem = f"{re.sub('[-_.]+', '_', project['name'])}-{project['version']}"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, member)
    wheel = out / f"{stem}-py3-none-any.whl"
    need(wheel.is_file(), f"{name}: no {wheel.name} was built")
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
        licence = archive.read(f"{stem}.dist-info/licenses/LICENSE").decode()
    need(not [file for file in files if file.endswith(".pth")], f"{name}: .pth file in the wheel")
    need(f"{package}/py.typed" in files, f"{name}: no py.typed in the wheel")
    tops = {file.split("/")[0] for file in files}
    need(tops == {package, f"{stem}.dist-info"}, f"{name}: unexpected in the wheel: {sorted(tops)}")
    need(licence == (ROOT / "LICENSE").read_text(encoding="utf-8"), f"{name}: LICENSE is not the root's")
    print(f"  {wheel.name}: {len(files)} files, {wheel.stat().st_size / 1024:.0f} KiB", flush=True)
    return wheel


def build_bundle(wheels: list[Path], out: Path) -> None:
    """Build the wheel that brings every provider, which holds nothing but the names of the others."""
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT / "bundle")
    (wheel,) = out.glob("chatport-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
        about = next(name for name in files if name.endswith(".dist-info/METADATA"))
        wanted = set(re.findall(r"^Requires-Dist: ([a-z0-9-]+)[^;\n]*$", archive.read(about).decode(), re.MULTILINE))
        licence = archive.read(about.replace("METADATA", "licenses/LICENSE")).decode()
    need(all(".dist-info/" in file for file in files), f"bundle: it has files of its own: {files}")
    need(licence == (ROOT / "LICENSE").read_text(encoding="utf-8"), "bundle: LICENSE is not the root's")
    names = {wheel.name.split("-")[0].replace("_", "-") for wheel in wheels}
    providers = {name for name in names if name == "chatport-core" or name.startswith("chatport-provider-")}
    need(wanted == providers, f"bundle: not the core and all providers, run `make docs`: {sorted(wanted ^ providers)}")
    print(f"  {wheel.name}: the core and {len(providers) - 1} providers", flush=True)


def try_alone(wheels: list[Path], more: list[Path], folder: Path) -> None:
    """Install the core and one provider into an empty environment, measure it, run the command; then `more` of ours."""
    pins = re.findall(r"^[a-z0-9].*?==.*?(?= \\$)", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
    need(pins, "no pins in requirements/dev.txt")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins), encoding="utf-8")
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "-q", "--no-compile", "-c", constraints, *wheels)
    sizes: dict[str, int] = json.loads(run(python, "-I", "-c", SIZES))
    theirs = {name: size for name, size in sizes.items() if not name.startswith("chatport-")}
    for label, part in (("dependencies of the core", theirs), ("whole", sizes)):
        print(f"  {label}: {len(part)} packages, {sum(part.values()) / 2**20:.1f} MiB")
    print(f"  ({', '.join(sorted(theirs))})")
    need(
        "chatport_deepseek" in run(python, "-I", "-c", "import chatport_deepseek as p; print(p)"),
        "no import",
    )
    need(not SERVERS & sizes.keys(), f"the core brings a server or a surface: {sorted(SERVERS & sizes.keys())}")
    loaded = run(python, "-I", "-c", LOADED).split()
    need(loaded == ["chatport"], f"import chatport loads more than itself and the standard library: {loaded}")
    chat(home / "bin" / "chatport", folder)
    try_stranger(home, folder)
    run(*pip, "install", "-q", "--no-compile", "-c", constraints, *more)
    need(run(python, "-I", "-c", LOADED).split() == ["chatport"], "the gateway beside it changes `import chatport`")
    need("McpTools" in run(python, "-I", "-c", "import chatport_mcp as m; print(m.mcp_tools(command=['x']))"), "no MCP")
    serve(home / "bin" / "chatport", folder)


def chat(command: Path, folder: Path) -> None:
    """Hold a chat on the command line with the emulated vendor, as a user of the two wheels would."""
    said = talk(command, folder, "deepseek", "deepseek-flash", "wheels work")
    print(f"  chatport chat: {said}")


@contextlib.contextmanager
def twin(command: Path, folder: Path, provider: str, more: str = "") -> Iterator[Path]:
    """Start a vendor's twin, and give a configuration file that leads to it, with `more` of that provider's table."""
    emulate = [command, "emulate", provider]
    with subprocess.Popen(emulate, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as vendor:
        try:
            assert vendor.stdout is not None
            base_url = vendor.stdout.readline().strip()
            config = folder / "chatport.toml"
            table = f'[providers.{provider}]\nbase_url = "{base_url}"\napi_key = "emulated"\n{more}'
            config.write_text(table, encoding="utf-8")
            yield config
        finally:
            vendor.terminate()


def talk(command: Path, folder: Path, provider: str, model: str, words: str, more: str = "") -> str:
    """Start a vendor's twin, say something to it and return what it says."""
    with twin(command, folder, provider, more) as config:
        said = run(command, "chat", "--config", config, "-m", f"{provider}:{model}", "-q", f"say: {words}").strip()
    need(said == words, f"chatport chat said {said!r}")
    return said


def serve(command: Path, folder: Path) -> None:
    """Serve a vendor's twin by the gateway, and ask it in each of the clients' protocols."""
    ask = {"model": "deepseek:deepseek-flash", "max_tokens": 99}
    talk = [{"role": "user", "content": "say: served"}]
    bodies = {"chat/completions": {"messages": talk}, "responses": {"input": talk}, "messages": {"messages": talk}}
    with twin(command, folder, "deepseek") as config:
        serving = [command, "serve", "--config", config, "--port", "0"]
        with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as gateway:
            try:
                assert gateway.stdout is not None
                port = re.sub(r"\x1b\[\d*m", "", gateway.stdout.readline()).strip().rpartition("port=")[2]
                for path, body in bodies.items():
                    content = json.dumps({**ask, **body} if path != "responses" else {**body, "model": ask["model"]})
                    asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/{path}", content.encode())
                    with urllib.request.urlopen(asked, timeout=30) as answer:
                        need(b"served" in answer.read(), f"/v1/{path} did not answer")
            finally:
                gateway.terminate()
    print("  chatport serve: chat completions, Responses, Messages")


PATCH = """
from chatport import hookimpl

@hookimpl(wrapper=True)
def shape_request():
    wire = yield
    return wire.set("user", "patched")
"""


def try_stranger(home: Path, folder: Path) -> None:
    """Let a stranger's package be written, built, installed, found, used, patched and removed."""
    python, command = home / "bin" / "python", home / "bin" / "chatport"
    place = folder / "acme"
    run(command, "new-provider", "acme", "--base-url", "https://llm.acme.example/v1", "--folder", place)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "stranger", place)
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "-q", "--no-deps", *(folder / "stranger").glob("*.whl"))
    need("chatport-provider-acme" in run(command, "providers", "--check"), "the stranger's provider is not listed")
    (folder / "patch.py").write_text(PATCH, encoding="utf-8")
    talk(command, folder, "acme", "acme-large", "a stranger speaks", 'patches = ["patch.py"]\n')
    shown = run(command, "explain", "--config", folder / "chatport.toml", "-m", "acme:acme-large", "hi")
    need('user = "patched"' in shown, f"the patch does not show:\n{shown}")
    need("chatport-provider-acme 0.1.0" in shown or "chatport_acme" not in shown, "explain names no package")
    run(*pip, "uninstall", "-q", "-y", "chatport-provider-acme")
    need("acme" not in run(command, "providers"), "the stranger's provider is still listed")
    print("  a stranger's package: written, built, installed, listed, used, patched, removed")


def main() -> None:
    members = [
        ROOT / "core",
        *sorted(path.parent for room in ("protocols", "plugins") for path in ROOT.glob(f"{room}/*/pyproject.toml")),
        ROOT / "surfaces",
        ROOT / "gateway",
        ROOT / "mcptools",
        ROOT / "bulk",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        out = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else folder / "dist"
        print(f"== building {len(members)} wheels", flush=True)
        wheels = [build(member, out) for member in members]
        build_bundle(wheels, out)
        print("== the core and one provider in an empty environment", flush=True)
        first = [wheel for wheel in wheels if wheel.name.split("-")[0] in ALONE]
        more = [wheel for wheel in wheels if wheel.name.split("-")[0] in BESIDE]
        try_alone(first, more, folder)


if __name__ == "__main__":
    main()
