# Copies parts of halted machines, and puts copies in their place: run in a container of the lab's own image, without a
# network, with each part mounted. A part is the layer of a container or a volume.
#
#   parts space PART...           prints of each: PART, the kibibytes that it takes, the kibibytes that are free beside it
#   parts standing PART...        prints of each: PART, and untouched, or staged, emptied or swapped and a SHA-256
#   parts copy PART               prints an archive of it
#   parts stage SHA256 PART       makes what the archive on the standard input has, beside what the part has
#   parts swap PART...            puts what was staged into its place, and what was there before aside
#   parts take-back PART...       puts what was there before back, and forgets what was staged
#   parts clean PART...           removes what was there before
#
# Beside what a part has lies the folder MARK, with `new`, what was staged; `old`, what was there before; and `state`, which is
# written when what it says is on the disk. Each entry of a part is moved by one rename and is in one of the three places, so
# whatever is cut off is gone on with by the same command.
set -eu

MARK=.caravan-checkpoint
ROOT=${PARTS_ROOT:-/parts}

# Says on the disk how far a part is.
say() {
    echo "$1" >"$mark/state.part"
    sync -f "$mark/state.part"
    mv -f "$mark/state.part" "$mark/state"
    sync -f "$mark"
}

# What `state` says, and nothing where nothing was begun.
said() {
    cat "$mark/state" 2>/dev/null || :
}

# Moves each entry but MARK. They are on one file system, so each is here or there.
move_all() {
    find "$1" -mindepth 1 -maxdepth 1 ! -name "$MARK" -exec mv -t "$2" -- {} +
}

# Owner and mode of the folder itself.
like() {
    chown --reference="$1" "$2"
    chmod --reference="$1" "$2"
}

verb=$1
shift
case $verb in
stage)
    sha256=$1
    shift
    ;;
esac
for part; do
    folder=$ROOT/$part
    mark=$folder/$MARK
    case $verb in
    space)
        used=$(du -skx "$folder")
        free=$(df -Pk "$folder" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
        echo "$part ${used%%[!0-9]*} $free"
        ;;
    standing)
        state=$(said)
        echo "$part ${state:-untouched}"
        ;;
    copy)
        case $(said) in
        staged* | emptied*)
            echo "something else is being put in the place of $part" >&2
            exit 1
            ;;
        esac
        tar --create --file=- --directory="$folder" --anchored --exclude="./$MARK" --format=posix --numeric-owner \
            --sparse --acls --xattrs --xattrs-include='*' --xattrs-exclude='security.selinux' \
            --xattrs-exclude='security.evm' .
        ;;
    stage)
        case $(said) in
        "" | staged*) ;;
        *)
            echo "what was there before is aside already" >&2
            exit 1
            ;;
        esac
        mkdir -p "$mark/old"
        chmod 700 "$mark"
        rm -f "$mark/state"
        rm -rf "$mark/new"
        mkdir "$mark/new"
        # Of an archive that ends between two entries tar says nothing: whoever gave it may have been killed.
        rm -f "$mark/pipe"
        mkfifo "$mark/pipe"
        sha256sum <"$mark/pipe" >"$mark/sum" &
        tee "$mark/pipe" | tar --extract --file=- --directory="$mark/new" --numeric-owner --same-owner --same-permissions \
            --acls --xattrs --xattrs-include='*'
        wait
        case $(cat "$mark/sum") in
        "$sha256 "*) ;;
        *)
            echo "not all of the copy of $part arrived" >&2
            exit 1
            ;;
        esac
        rm -f "$mark/pipe" "$mark/sum"
        sync -f "$mark"
        say "staged $sha256"
        ;;
    swap)
        state=$(said)
        case $state in
        staged*)
            move_all "$folder" "$mark/old"
            like "$folder" "$mark/old"
            state="emptied ${state#* }"
            say "$state"
            ;;
        esac
        case $state in
        emptied*)
            move_all "$mark/new" "$folder"
            like "$mark/new" "$folder"
            say "swapped ${state#* }"
            ;;
        swapped*) ;;
        *)
            echo "nothing is staged beside $part" >&2
            exit 1
            ;;
        esac
        ;;
    take-back)
        state=$(said)
        case $state in
        emptied* | swapped*)
            # From here on it is as if the entries were just being put aside.
            move_all "$folder" "$mark/new"
            like "$mark/old" "$folder"
            say "staged ${state#* }"
            ;;
        esac
        if [ -d "$mark/old" ]; then
            move_all "$mark/old" "$folder"
        fi
        rm -rf "$mark"
        ;;
    clean)
        case $(said) in
        swapped*) rm -rf "$mark/old" "$mark" ;;
        "")
            # What was put aside is all that there is, as nothing took its place.
            if [ -d "$mark/old" ]; then
                rmdir "$mark/old"
            fi
            rm -rf "$mark"
            ;;
        *)
            echo "what was staged is not in the place of $part" >&2
            exit 1
            ;;
        esac
        ;;
    *)
        echo "no verb: $verb" >&2
        exit 2
        ;;
    esac
done
