# shellcheck shell=bash
# Starts a unit that verify has stopped. Set before this: UNIT.

systemctl start --no-block "$UNIT" || exit 1
systemctl stop "caravan-verify-$UNIT.timer" 2>/dev/null
exit 0
