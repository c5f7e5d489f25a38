#!/bin/sh
# Debian packages that some tests need: a second broker and its client. Without them those tests are skipped, with the reason.
set -u
PACKAGES="mosquitto mosquitto-clients"

missing=""
command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] || missing=yes
command -v mosquitto_sub >/dev/null 2>&1 || missing=yes
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "note: no Mosquitto here; the tests that compare with it are skipped (install: $PACKAGES)"
elif [ "$(id -u)" -ne 0 ]; then
    echo "note: the tests that compare with Mosquitto are skipped; to run them: sudo apt-get install -y $PACKAGES"
else
    echo "installing $PACKAGES for the tests"
    # no service is started: the tests run their own on a free port
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes; }
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES; } >/dev/null 2>&1 ||
        echo "note: apt-get could not install them; the tests that need them are skipped"
    [ "${made:-}" = yes ] && rm -f "$policy"
fi
exit 0
