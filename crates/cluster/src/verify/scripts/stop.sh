# shellcheck shell=bash
# Stops a unit, after the machine itself was told to start it again. Set before this: UNIT, SAFETY (seconds).

timer=caravan-verify-$UNIT
systemctl stop "$timer.timer" "$timer.service" 2>/dev/null
systemctl reset-failed "$timer.timer" "$timer.service" 2>/dev/null
systemd-run --quiet --unit="$timer" --on-active="$SAFETY" --timer-property=AccuracySec=1s \
    systemctl start --no-block "$UNIT" || exit 1
systemctl stop "$UNIT"
