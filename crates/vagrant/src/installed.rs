//! Vagrant as it is installed here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::{Call, Computer, Program};

use crate::{Error, Group};

/// The oldest Vagrant that is accepted.
///
/// | version | why it matters |
/// |---|---|
/// | 2.3.4 | what every sample in the tests and every real run was made with (Debian 12) |
/// | 2.3.0 | the first of the line in which the Docker provider's methods have the shape that the Vagrantfile's mended ones need |
pub const FLOOR: Version = Version::new(2, 3, 0);

/// Variables that point Vagrant elsewhere than at the folder it runs in, or change the Ruby that it runs on.
///
/// People set them for a project of their own and forget; a lab would then act on that project.
const MISLEADING: [&str; 14] = [
    "VAGRANT_CWD",
    "VAGRANT_DOTFILE_PATH",
    "VAGRANT_VAGRANTFILE",
    "VAGRANT_DEFAULT_PROVIDER",
    "VAGRANT_PREFERRED_PROVIDERS",
    "VAGRANT_FORCE_COLOR",
    "VAGRANT_NO_PARALLEL",
    "VAGRANT_DEFAULT_TEMPLATE",
    // Commands under other names, plugins of one folder, and none at all, which virtual machines need.
    "VAGRANT_ALIAS_FILE",
    "VAGRANT_LOCAL_PLUGINS_LOAD",
    "VAGRANT_NO_PLUGINS",
    "VAGRANT_EXPERIMENTAL",
    "BUNDLE_GEMFILE",
    "RUBYOPT",
];

/// How long a short question to another computer may take.
const ANSWER_THERE: Duration = Duration::from_secs(60);

/// What a line begins with that says whether Vagrant has a provider.
const ANSWER: &str = "caravan-provider: ";

/// A Vagrantfile that says whether Vagrant knows a provider, and ends Vagrant before it begins anything.
fn provider_question(provider: &str) -> String {
    format!(
        "$stdout.puts \"{ANSWER}#{{Vagrant.plugin(\"2\").manager.providers.key?(:{provider})}}\"\n$stdout.flush\nexit!\n"
    )
}

/// What a line begins with that says what Vagrant makes of the VirtualBox that is here.
const VIRTUALBOX_ANSWER: &str = "caravan-virtualbox: ";

/// A Vagrantfile that says whether Vagrant can use the VirtualBox that is here, or the class and the text of the error that
/// it would give up with, and ends Vagrant before it begins anything.
const VIRTUALBOX_QUESTION: &str = r##"Vagrant.plugin("2").manager.providers[:virtualbox]
answer = begin
  VagrantPlugins::ProviderVirtualBox::Provider.usable?(true)
  "usable"
rescue StandardError => error
  "#{error.class} #{error.message.split.join(" ")}"
end
$stdout.puts "caravan-virtualbox: #{answer}"
$stdout.flush
exit!
"##;

/// What Vagrant says about a VirtualBox that it cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfitVirtualBox {
    /// The class of its error, such as `Vagrant::Errors::VirtualBoxInvalidVersion`.
    pub class: String,
    /// Its words, on one line.
    pub text: String,
}

/// Vagrant, found and recent enough.
#[derive(Debug, Clone)]
pub struct Vagrant {
    program: Program,
    version: Version,
    computer: Computer,
    /// The folder that Vagrant takes for the user's own, where it is not to be that.
    home: Option<PathBuf>,
}

impl Vagrant {
    /// Finds Vagrant on the search path and asks for its version, which takes a tenth of a second.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when it is not there or does not run, [`Error::TooOld`], [`Error::NoVersion`].
    pub fn find() -> Result<Self, Error> {
        Self::of(Program::find("vagrant")?)
    }

    /// Finds Vagrant on a computer and asks for its version.
    ///
    /// # Errors
    ///
    /// As [`Vagrant::find`], and where the computer is not reached.
    pub fn on(computer: &Computer) -> Result<Self, Error> {
        let mut found = Self::of(computer.program("vagrant")?)?;
        found.computer = computer.clone();
        Ok(found)
    }

    /// The computer that it runs on.
    pub fn computer(&self) -> &Computer {
        &self.computer
    }

    /// Takes the Vagrant at `path`.
    ///
    /// # Errors
    ///
    /// As [`Vagrant::find`].
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::of(Program::at(path))
    }

    /// Takes `program` as Vagrant, if it says that it is.
    ///
    /// # Errors
    ///
    /// As [`Vagrant::find`].
    pub fn of(program: Program) -> Result<Self, Error> {
        let output = scrubbed(program.call(["--version"]))
            .timeout(Duration::from_secs(30))
            .run()?;
        let version = Version::parse(&output.stdout).ok_or_else(|| Error::NoVersion {
            program: "vagrant",
            said: output.stdout.trim().to_owned(),
        })?;
        if version < FLOOR {
            return Err(Error::TooOld { found: version });
        }
        Ok(Self {
            program,
            version,
            computer: Computer::Here,
            home: None,
        })
    }

    /// The same Vagrant, apart from what the user keeps for projects of their own: without their plugins, and with `home`
    /// in the place of their Vagrant folder and the Vagrantfile in it. For providers that need no plugin and no box.
    ///
    /// Vagrant locks machines by files in that folder. They stay where they are, by a link: who runs Vagrant by hand in a
    /// group's folder is to find the machines locked meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when `home` cannot be made.
    pub fn apart(self, home: impl Into<PathBuf>) -> Result<Self, Error> {
        let home = home.into();
        match self.computer {
            Computer::Here => {
                make_home(&home, users_home().as_deref()).map_err(|source| Error::File {
                    path: home.clone(),
                    source,
                })?;
            }
            Computer::Ssh(_) => make_home_there(&self.computer, &home)?,
        }
        Ok(Self {
            home: Some(home),
            ..self
        })
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether it has its docker provider, by loading its plugins, which takes a second.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when it does not load them, or none of our temporary folders can be made.
    pub fn docker_provider(&self) -> Result<bool, Error> {
        self.has_provider("docker", true)
    }

    /// Whether it has the plugin for libvirt, its own or one that the user installed, by loading all plugins, which takes a
    /// second.
    ///
    /// # Errors
    ///
    /// As [`Vagrant::docker_provider`].
    pub fn libvirt_provider(&self) -> Result<bool, Error> {
        self.has_provider("libvirt", false)
    }

    /// What keeps Vagrant from using the VirtualBox that is here, if anything does, by letting it look, which takes a second.
    ///
    /// # Errors
    ///
    /// As [`Vagrant::docker_provider`].
    pub fn virtualbox_trouble(&self) -> Result<Option<UnfitVirtualBox>, Error> {
        let answer = self.answer(VIRTUALBOX_QUESTION, VIRTUALBOX_ANSWER, true)?;
        Ok(answer.filter(|it| it != "usable").map(|answer| {
            let (class, text) = answer.split_once(' ').unwrap_or((&answer, ""));
            UnfitVirtualBox {
                class: class.to_owned(),
                text: text.to_owned(),
            }
        }))
    }

    /// Whether it loads a provider, without what the user keeps for projects of their own where that is to be `apart`.
    fn has_provider(&self, provider: &str, apart: bool) -> Result<bool, Error> {
        let answer = self.answer(&provider_question(provider), ANSWER, apart)?;
        Ok(answer.is_some_and(|answer| answer == "true"))
    }

    /// What `question`, a Vagrantfile, says on a line that begins with `mark`; none where it says none and ends well.
    fn answer(&self, question: &str, mark: &str, apart: bool) -> Result<Option<String>, Error> {
        let folder = tempfile::tempdir().map_err(|source| Error::File {
            path: std::env::temp_dir(),
            source,
        })?;
        let file = folder.path().join("Vagrantfile");
        std::fs::write(&file, question).map_err(|source| Error::File {
            path: file.clone(),
            source,
        })?;
        let mut asked = scrubbed(self.program.call(["status"]))
            .dir(folder.path())
            .timeout(Duration::from_secs(60));
        if apart {
            // A Vagrantfile of the user's own would be read first, and say something of its own.
            asked = asked.env("VAGRANT_HOME", folder.path().join("home"));
        }
        let output = asked.clone().output()?;
        match output
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(mark))
        {
            Some(answer) => Ok(Some(answer.trim().to_owned())),
            // Says why it does not work.
            None => asked.run().map(|_| None).map_err(Error::from),
        }
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The group of machines whose Vagrantfile is in the folder `dir`.
    pub fn group(&self, dir: impl Into<PathBuf>) -> Group {
        Group::new(self.clone(), dir.into())
    }

    /// The one place where a Vagrant command is put together.
    pub(crate) fn create_call(&self, group: &Group, args: &[&str]) -> Call {
        self.call_in(group.dir(), args)
    }

    /// A command in the folder `dir`.
    pub(crate) fn call_in(&self, dir: &Path, args: &[&str]) -> Call {
        let call = scrubbed(self.program.call(args)).dir(dir);
        match &self.home {
            None => call,
            Some(home) => call
                .env("VAGRANT_HOME", home)
                .env("VAGRANT_NO_PLUGINS", "1"),
        }
    }
}

/// The folder in which Vagrant keeps what is the user's and no project's, as Vagrant finds it.
pub fn users_home() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("VAGRANT_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".vagrant.d")))
}

/// Makes a Vagrant folder at `home` that has nothing of the user's but the folder of locks.
fn make_home(home: &Path, users: Option<&Path>) -> std::io::Result<()> {
    std::fs::create_dir_all(home)?;
    let data = home.join("data");
    if data.symlink_metadata().is_ok() {
        return Ok(());
    }
    // Where the user has no folder, or may not write to it, there is nobody to share locks with.
    if let Some(shared) = users.map(|users| users.join("data"))
        && std::fs::create_dir_all(&shared).is_ok()
        && let Ok(shared) = shared.canonicalize()
        && let Err(error) = std::os::unix::fs::symlink(&shared, &data)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    Ok(())
}

/// As [`make_home`], on another computer.
fn make_home_there(computer: &Computer, home: &Path) -> Result<(), Error> {
    const MAKE: &str = r#"set -e
mkdir -p -- "$1"
[ -e "$1/data" ] || [ -h "$1/data" ] && exit 0
users=${VAGRANT_HOME:-$HOME/.vagrant.d}/data
mkdir -p -- "$users" && ln -s -- "$users" "$1/data" || [ -h "$1/data" ]
"#;
    let home = home.display().to_string();
    let words = ["sh", "-c", MAKE, "make-home", &home];
    let output = computer.run(&words, "", ANSWER_THERE)?;
    match output.success() {
        true => Ok(()),
        false => Err(caravan_process::Error::Put {
            computer: computer.to_string(),
            path: home,
            said: output.stderr.trim().to_owned(),
        }
        .into()),
    }
}

/// Takes the user's settings away and gives the ones that every call needs.
fn scrubbed(mut call: Call) -> Call {
    for name in MISLEADING {
        call = call.env_remove(name);
    }
    call
        // Without these Vagrant asks a server on the internet whether it, or a box, is out of date.
        .env("VAGRANT_CHECKPOINT_DISABLE", "1")
        .env("VAGRANT_BOX_UPDATE_CHECK_DISABLE", "1")
        // The output is parsed and kept in a file; escape codes would be in both.
        .env("VAGRANT_NO_COLOR", "1")
}

/// The version of a program, such as `2.3.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

impl Version {
    /// A version of its three numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// The first of its numbers.
    pub const fn major(self) -> u16 {
        self.major
    }

    /// The second of its numbers.
    pub const fn minor(self) -> u16 {
        self.minor
    }

    /// Reads what `vagrant --version` prints, such as `Vagrant 2.3.4` or `Vagrant 2.4.1.dev`.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.starts_with("Vagrant "))?;
        let mut numbers = line["Vagrant ".len()..].trim().splitn(4, '.');
        let mut next = || numbers.next()?.parse().ok();
        Some(Self::new(next()?, next()?, next()?))
    }

    /// Reads the numbers that a text begins with, such as `7.0.20r163906` or `6.12.9-amd64`; a third one that is not there
    /// is 0.
    pub fn leading(text: &str) -> Option<Self> {
        let mut numbers = text
            .splitn(4, '.')
            .map(|part| part.split(|it: char| !it.is_ascii_digit()).next());
        let mut next = || numbers.next()??.parse().ok();
        Some(Self::new(next()?, next()?, next().unwrap_or_default()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_of_its_own_shares_nothing_but_locks() {
        let folder = tempfile::tempdir().expect("a folder");
        let (home, users) = (folder.path().join("own"), folder.path().join("users"));
        std::fs::create_dir(&users).expect("made");
        std::fs::write(users.join("Vagrantfile"), "raise").expect("written");
        for _ in 0..2 {
            make_home(&home, Some(&users)).expect("made");
            let here: Vec<_> = std::fs::read_dir(&home)
                .expect("a folder")
                .flatten()
                .collect();
            assert_eq!(here.len(), 1, "{here:?}");
            std::fs::write(home.join("data/lock"), "").expect("written");
            assert!(users.join("data/lock").exists());
        }
        // Nobody to share with.
        let alone = folder.path().join("alone");
        make_home(&alone, None).expect("made");
        make_home(&alone, Some(Path::new("/proc/nobody"))).expect("made");
        assert!(!alone.join("data").exists());
    }

    #[test]
    fn versions() {
        let check = |text: &str, version| assert_eq!(Version::parse(text), version, "{text}");
        check("Vagrant 2.3.4\n", Some(Version::new(2, 3, 4)));
        check(
            "a warning of Ruby\nVagrant 2.4.1\n",
            Some(Version::new(2, 4, 1)),
        );
        check("Vagrant 2.4.2.dev\n", Some(Version::new(2, 4, 2)));
        check("Vagrant 2.3", None);
        check("vagrant: command not found", None);
        check("", None);
        let leading = Version::leading;
        assert_eq!(leading("7.0.20r163906"), Some(Version::new(7, 0, 20)));
        assert_eq!(leading("6.12.9-amd64"), Some(Version::new(6, 12, 9)));
        assert_eq!(leading("6.6-rc1"), Some(Version::new(6, 6, 0)));
        assert_eq!(leading("linux"), None);
        assert!(Version::new(2, 2, 19) < FLOOR && Version::new(2, 10, 0) > FLOOR);
    }
}
