# shellcheck shell=bash
# Whether a machine is what its bootstrap makes it, and runs what it is there for.
# Set before this: UNITS (the units that must run), TIMES (how many times as long as usual everything may take).

echo '@@ bootstrap'
# One that has just said that it is ready ends a moment later.
for ((look = 0; look < 20 * TIMES; look++)); do
    [[ $(systemctl is-active caravan-bootstrap.service) == @(active|activating|deactivating) ]] || break
    sleep 0.25
done
# Written by the bootstrap at its end, in memory, so that it is of this boot.
if [[ -e /run/caravan/ready ]]; then
    echo "ready $(systemctl is-active caravan-bootstrap.service)"
else
    journalctl --unit caravan-bootstrap --boot --output cat --lines 50 | grep '^CARAVAN ' | tail -n 1
fi
echo '@@ units'
# shellcheck disable=SC2086
paste -d ' ' <(printf '%s\n' $UNITS) <(systemctl is-active $UNITS)
echo '@@ failed-units'
systemctl list-units --state=failed --plain --no-legend | while read -r unit _; do
    echo "$unit"
done
