#!/bin/sh
# Create .venv from requirements.lock. Uses uv when it is on the PATH, plain pip otherwise.
set -eu
PYTHON="${PYTHON:-python3}"

if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Error: '$PYTHON' is not Python 3.11 or newer." >&2
    echo "Hint:  make PYTHON=/path/to/python3.11 $(basename "${MAKECMDGOALS:-test}")" >&2
    exit 1
fi
echo "setting up .venv (once; about half a minute)"
rm -f .venv/.ready
if command -v uv >/dev/null 2>&1; then
    [ -x .venv/bin/python ] || uv venv --quiet --seed --python "$PYTHON" .venv
    uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
else
    [ -x .venv/bin/python ] || "$PYTHON" -m venv .venv || {
        echo "Error: this Python cannot make a virtual environment." >&2
        echo "Hint:  apt-get install python3-venv" >&2
        exit 1
    }
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
fi
touch .venv/.ready
