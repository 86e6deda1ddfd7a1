//! What `vm-compat` does to a box from elsewhere, with stand-ins for what it asks and changes.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::checkers::checker;

const SCRIPT: &str = include_str!("../../templates/usr/lib/caravan/vm-compat");

/// Stand-ins: what the box has, and a line for each change.
const BOX: &str = r#"
LOADED=" apt-daily.timer snapd.service swap.target systemd-timesyncd.service "
ACTIVE=" "
systemctl() {
    local unit
    case $1 in
        show)
            for unit in "$@"; do
                [[ $unit == *.* ]] || continue
                # As systemd orders them, whatever the order of the question.
                printf 'Id=%s\nLoadState=%s\nActiveState=%s\nUnitFileState=%s\n\n' "$unit" "$(loaded "$unit")" \
                    "${ACTIVITY:-active}" "${FILE:-enabled}"
            done | if [[ " $* " == *" --value "* ]]; then sed -n 's/^LoadState=//p'; else cat; fi
            ;;
        --quiet) [[ $ACTIVE == *" $3 "* ]] ;;
        *) echo "systemctl $*" ;;
    esac
}
loaded() {
    if [[ $LOADED == *" $1 "* ]]; then echo loaded; else echo not-found; fi
}
usermod() { echo "usermod $*"; }
swapoff() { echo "swapoff $*"; }
journalctl() { echo "journalctl $*"; }
networkctl() { echo "networkctl $*"; }
"#;

/// A file system below a folder of its own, in which the script finds what it looks at.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Machine {
        let machine = Machine {
            root: tempfile::tempdir().unwrap(),
        };
        machine.write(
            "etc/shadow",
            "root:*:1::::::\nvagrant:$6$salt$hash:1::::::\nempty::1::::::\nlocked:!$6$x:1::::::\n",
        );
        // The script's own paths are below the folder, so the one that it looks for is too.
        let settings = machine.path("etc/ssh/sshd_config.d").display().to_string();
        let main = format!("Include {settings}/*.conf\nUsePAM yes\n");
        machine.write("etc/ssh/sshd_config", &main);
        machine.write("proc/swaps", "Filename Type Size Used Priority\n");
        machine
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Calls one of the script's functions with `settings` before it, and returns what was changed.
    fn call(&self, function: &str, settings: &str) -> Option<String> {
        let bash = checker("bash")?;
        let (functions, calls) = SCRIPT.split_once("\nswap\nclock\n").unwrap();
        assert!(calls.lines().all(|line| !line.contains(' ')), "{calls}");
        let here = |path: &str| self.path(path).display().to_string();
        let functions = functions
            .replace("source /usr/lib/caravan/lib.sh", "")
            .replace("/etc/", &format!("{}/", here("etc")))
            .replace("/proc/swaps", &here("proc/swaps"))
            .replace("/run/systemd/", &format!("{}/", here("run/systemd")))
            .replace("/sys/class/net", &here("sys/class/net"));
        let script = format!(
            "CARAVAN_AIRGAP=no CARAVAN_MAC=52:54:00:2e:b0:ce\n{BOX}\n{settings}\n{functions}\n{function}\nsettle\n"
        );
        let output = bash.call(["-c", &script]).output().unwrap();
        assert!(output.success(), "{output:#?}");
        Some(format!("{}{}", output.stdout, output.stderr).replace(&here(""), "/"))
    }
}

#[test]
fn swap_is_off_and_stays_off() {
    let machine = Machine::new();
    let Some(said) = machine.call("swap", "") else {
        return;
    };
    assert_eq!(said, "systemctl mask --quiet --now swap.target\n");
    machine.write(
        "proc/swaps",
        "Filename Type Size Used Priority\n/swap.img file 2097148 0 -2\n",
    );
    let said = machine.call("swap", "").unwrap();
    assert_eq!(
        said,
        "swapoff --all\nsystemctl mask --quiet --now swap.target\n"
    );
}

#[test]
fn only_passwords_that_open_something_are_taken_away() {
    let machine = Machine::new();
    let Some(said) = machine.call("passwords", "") else {
        return;
    };
    assert_eq!(
        said,
        "usermod --password * vagrant\nusermod --password * empty\n"
    );
    // A main file that reads no others is told to.
    machine.write("etc/ssh/sshd_config", "PasswordAuthentication yes\n");
    let said = machine.call("passwords", "").unwrap();
    assert!(
        said.ends_with("systemctl try-reload-or-restart ssh.service\n"),
        "{said}"
    );
    let config = machine.read("etc/ssh/sshd_config");
    assert!(
        config.starts_with("Include ") && config.ends_with("\nPasswordAuthentication yes\n"),
        "{config}"
    );
}

#[test]
fn a_clock_is_set_where_there_is_somebody_to_ask() {
    let machine = Machine::new();
    let Some(said) = machine.call("clock", "") else {
        return;
    };
    assert!(
        said.ends_with("systemctl enable --quiet --now systemd-timesyncd.service\n"),
        "{said}"
    );
    // One that runs already is left alone, and without any it is said.
    assert_eq!(
        machine.call("clock", "ACTIVE=' chrony.service '").unwrap(),
        ""
    );
    let said = machine.call("clock", "LOADED=' '").unwrap();
    assert!(said.contains("nothing sets this machine's clock"), "{said}");
    let said = machine.call("clock", "CARAVAN_AIRGAP=yes").unwrap();
    assert_eq!(
        said,
        "systemctl mask --quiet --now systemd-timesyncd.service\n"
    );
}

#[test]
fn what_a_box_upgrades_itself_with_is_masked() {
    let machine = Machine::new();
    let Some(said) = machine.call("upgrades", "") else {
        return;
    };
    assert_eq!(
        said,
        "systemctl mask --quiet --now apt-daily.timer snapd.service\n"
    );
    assert_eq!(machine.call("upgrades", "LOADED=' '").unwrap(), "");
    // What nothing starts needs no mask, which would cost a minute of an emulated machine's time.
    let idle = machine.call("upgrades", "FILE=disabled ACTIVITY=inactive");
    assert_eq!(idle.unwrap(), "");
    let started = machine.call("upgrades", "FILE=static ACTIVITY=inactive");
    assert_eq!(started.unwrap(), said);
}

#[test]
fn the_file_that_governs_vagrants_interface_is_told_to_take_the_address_alone() {
    let machine = Machine::new();
    let ours = "[DHCPv4]\nUseGateway=no\n";
    machine.write(
        "etc/systemd/network/10-management.network.d/20-caravan.conf",
        ours,
    );
    for (nic, index, mac, device) in [
        ("ens5", 2, "52:54:00:11:22:33", true),
        ("ens6", 3, "52:54:00:2e:b0:ce", true),
        ("cni0", 4, "0a:58:0a:f4:47:01", false),
    ] {
        machine.write(&format!("sys/class/net/{nic}/address"), &format!("{mac}\n"));
        machine.write(
            &format!("sys/class/net/{nic}/ifindex"),
            &format!("{index}\n"),
        );
        if device {
            machine.write(&format!("sys/class/net/{nic}/device/vendor"), "");
        }
        let link =
            "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-x.network\n";
        machine.write(&format!("run/systemd/netif/links/{index}"), link);
    }
    let Some(said) = machine.call("management", "") else {
        return;
    };
    assert_eq!(said, "", "with a way out all that is offered is taken");
    let said = machine.call("management", "CARAVAN_AIRGAP=yes").unwrap();
    assert_eq!(said, "networkctl reload\nnetworkctl reconfigure ens5\n");
    let copy = "etc/systemd/network/10-netplan-x.network.d/20-caravan.conf";
    assert_eq!(machine.read(copy), ours);
    // It is there now.
    assert_eq!(
        machine.call("management", "CARAVAN_AIRGAP=yes").unwrap(),
        ""
    );
    // Where networkd does not govern the interface there is nothing to be told.
    fs::remove_dir_all(machine.path("run/systemd/netif")).unwrap();
    fs::remove_file(machine.path(copy)).unwrap();
    assert_eq!(
        machine.call("management", "CARAVAN_AIRGAP=yes").unwrap(),
        ""
    );
    assert!(!Path::exists(&machine.path(copy)));
}
