#!/bin/bash
# Installs what the tests run besides Python, where it is missing. Without root it only says what is missing;
# with CI=true the tests that need it then fail, elsewhere they are skipped and named.
set -eu

# program -> Debian package
declare -A packages=(
	[ip]=iproute2 [nft]=nftables [tshark]=tshark [tcpdump]=tcpdump [promtool]=prometheus [amtool]=prometheus-alertmanager
	[chromium]=chromium [openssl]=openssl [systemd-analyze]=systemd [javac]=openjdk-17-jdk-headless
	[mvn]=maven [curl]=curl [gcc]=gcc [apache2]=apache2-bin [faketime]=faketime
)

missing=()
for program in "${!packages[@]}"; do
	command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
# a module, no program; apache2-bin has no service of its own to be started, apache2 would have
[ -e /usr/lib/apache2/modules/mod_jk.so ] || missing+=(libapache2-mod-jk)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing for some tests: ${missing[*]} (as root: apt-get install ${missing[*]})" >&2
	exit 0
fi

# No service is to be started by an installation.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi
echo "installing ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
