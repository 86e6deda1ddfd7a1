//! Writes a lab's folders as `cargo xtask plan LAB --write` does, without the command: keys, then one Vagrant project
//! per server. For work on templates and scripts.
//!
//! cargo run -p caravan-render --example write_lab -- labs/ha.toml caravan-machine:dev .lab [libvirt]

use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_lab::{Lab, Provider};
use caravan_pki::store::Store;
use caravan_render::{
    MachineImage, Material, SSH_KEY, Settings, Software, group_files, pki_cluster, pki_plan,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, image, out, word @ ..] = arguments.as_slice() else {
        return Err("usage: write_lab LAB.toml IMAGE FOLDER [PROVIDER]".into());
    };
    let provider = match word.first() {
        None => Provider::default(),
        Some(word) => (Provider::ALL.into_iter())
            .find(|it| it.word() == word)
            .ok_or("no such provider")?,
    };
    let source = fs::read_to_string(file)?;
    let name = Path::new(file)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .ok_or("no lab name")?;
    let lab = Lab::parse(name, &source).map_err(|faults| format!("{faults:?}"))?;
    let home = PathBuf::from(out).join(lab.name());

    let material = material(&lab, &home)?;
    let image = MachineImage::named(image);
    let settings = Settings {
        airgap: true,
        ..Settings::of_one_provider(&lab, provider, image)
    };
    for server in lab.servers() {
        let files = group_files(
            &lab,
            server,
            &Software::example(),
            &settings,
            &material,
            None,
        )?;
        for file in files {
            let path = home.join(&server.name).join(&file.path);
            write(&path, file.mode, &file.content)?;
        }
    }
    Ok(())
}

fn material(lab: &Lab, home: &Path) -> Result<Material, Box<dyn Error>> {
    let ensured = Store::open(home.join("pki"))?.ensure(&pki_plan(lab)?, SystemTime::now())?;
    let pki = ensured.material();

    let ssh = pki.ssh_key(SSH_KEY)?;
    write(
        &home.join("ssh/id_ecdsa"),
        0o600,
        ssh.private_pem().as_bytes(),
    )?;
    // net-ssh takes the public half of an EC key from here; from the private file it makes an object it cannot use.
    write(
        &home.join("ssh/id_ecdsa.pub"),
        0o644,
        ssh.public_line().as_bytes(),
    )?;
    let cluster = pki_cluster(lab)?.with_name(lab.name())?;
    let kubeconfig = cluster.admin_kubeconfig(pki, &format!("https://{}", lab.api_endpoint()))?;
    write(&home.join("kubeconfig"), 0o600, kubeconfig.as_bytes())?;
    Ok(Material::new(lab, pki)?)
}

fn write(path: &Path, mode: u32, content: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    let _ = fs::remove_file(path);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?
        .write_all(content)
}
