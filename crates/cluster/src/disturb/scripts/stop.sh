# shellcheck shell=bash
# Breaks a unit, after the machine itself was told to repair it. Set before this: UNIT, SAFETY (seconds), HARM (what
# systemctl is told, a line each).

process=$(systemctl show --property=MainPID --value "$UNIT")
timer=caravan-verify-$UNIT
systemctl stop "$timer.timer" "$timer.service" 2>/dev/null
systemctl reset-failed "$timer.timer" "$timer.service" 2>/dev/null
systemd-run --quiet --unit="$timer" --on-active="$SAFETY" --timer-property=AccuracySec=1s \
    sh -c "systemctl kill --signal=CONT $UNIT; systemctl start --no-block $UNIT" || exit 1
while read -r words; do
    # shellcheck disable=SC2086
    systemctl $words "$UNIT" || exit 1
done <<<"$HARM"

# What became of the process that was the unit's: it is gone, dead (Z, X) or stopped (T), or the harm did nothing.
for _ in {1..40}; do
    state=$(sed --quiet 's/^State:[[:space:]]*//p' "/proc/$process/status" 2>/dev/null)
    case ${state:-X} in [ZXT]*) break ;; esac
    sleep 0.05
done
echo '@@ process'; echo "$process"
echo '@@ state'; echo "${state:-gone}"
