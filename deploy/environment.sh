#!/bin/bash
# Makes the virtual environment named by $1 with the first Python of 3.11 or later that is found.
set -eu
target=$1

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
	local candidate
	for candidate in python3 python3.13 python3.12 python3.11; do
		if command -v "$candidate" >/dev/null && fits "$candidate"; then
			echo "$candidate"
			return
		fi
	done
}

python=$(find_python)
if [ -z "$python" ] || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "Python 3.11 or later with venv is needed: apt-get install python3-venv" >&2
		exit 1
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
	python=$(find_python)
fi
"$python" -m venv "$target"
