# shellcheck shell=bash
# Breaks a unit, after the machine itself was told to repair it. Set before this: UNIT, SAFETY (seconds), HARM (what
# systemctl is told, a line each).

timer=caravan-verify-$UNIT
systemctl stop "$timer.timer" "$timer.service" 2>/dev/null
systemctl reset-failed "$timer.timer" "$timer.service" 2>/dev/null
systemd-run --quiet --unit="$timer" --on-active="$SAFETY" --timer-property=AccuracySec=1s \
    sh -c "systemctl kill --signal=CONT $UNIT; systemctl start --no-block $UNIT" || exit 1
while read -r words; do
    # shellcheck disable=SC2086
    systemctl $words "$UNIT" || exit 1
done <<<"$HARM"
