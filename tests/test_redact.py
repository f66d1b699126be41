"""What is shared names nobody, and checks say the same of it."""

from __future__ import annotations

import json
import ntpath
import posixpath
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import Installation
from shared import CHECKS, concluded, redacted, redacted_of
from shared import MACHINES as NAMES
from shared import facts_of as machine
from together import together

from nnunet_doctor.check import Check, LogExample
from nnunet_doctor.examination import Examination, conclude, read_facts
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Unknown
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.facts.exchange import to_document
from nnunet_doctor.log.signatures import says
from nnunet_doctor.redact import Redactor, names_of
from nnunet_doctor.report.record import build, to_json


def said(found: Examination) -> dict[str, Any]:
    """Return what checks say and what is planned: ids, severities, numbers of subjects, settings."""
    return {
        "findings": [
            (item.check.id, item.check.severity, len(item.details), item.explained_by)
            for item in found.diagnosis.findings
        ],
        "undecided": [item.check.id for item in found.diagnosis.undecided],
        "plan": [(item.setting, item.because) for item in found.plan.reasons],
        "left": [item.check.id for item in found.plan.diagnosis.blocking],
    }


# --- recorded machines ---------------------------------------------------------------------------------------------


@together("name", NAMES)
def test_a_replayed_machine_gives_the_very_report(name: str, tmp_path: Path) -> None:
    """Facts as a look has them, and the same written and read again, give reports of the same bytes."""
    live = derive(Facts(dict(machine(name)), {fact: f"source of {fact}" for fact, _ in machine(name)}))
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(to_document(live, "0"), ensure_ascii=False), encoding="utf-8")
    reports = []
    for facts in (live, read_facts(path, {})):
        found = conclude(facts, CHECKS)
        report = build(found.facts, found.diagnosis, found.plan, (), "en", "error")
        reports.append(to_json(report, ascii_only=False).encode("utf-8"))

    assert reports[0] == reports[1]


@together("name", NAMES)
def test_a_redacted_machine_gives_the_same_findings(name: str) -> None:
    """Ids, severities, numbers of subjects, undecided checks and plan stay."""
    assert said(conclude(redacted_of(name), CHECKS)) == said(concluded(name))


PRIVATE = ("anna", "keller", "weber", "wangfang", "zhang", "lena", "b042a", "colon", "hippocampus", "braintumour")
PRIVATE += ("\u5f20\u4f1f", "\u533b\u5b66", "4711820")


@together("name", NAMES)
def test_a_redacted_machine_names_nobody(name: str) -> None:
    """Users, datasets, cases and numbers of jobs are gone from values and sources alike; derived facts follow."""
    text = json.dumps(to_document(redacted_of(name), "0"), ensure_ascii=False).lower()

    assert [word for word in PRIVATE if word in text] == []


# --- a corpus of nasty values --------------------------------------------------------------------------------------

TOKENS = {
    "GitHub": ("ghp_" + "aB3" * 12, "remote: {}"),
    "GitHub, fine-grained": ("github_pat_" + "11ABCDE" * 6, "using {} for it"),
    "GitLab": ("glpat-" + "xYz12_" * 4, "{}"),
    "Hugging Face": ("hf_" + "AbCdEfGh" * 4, "token {}"),
    "Amazon": ("AKIA" + "ABCDEFGH12345678", "AWS_ACCESS_KEY_ID: {}"),
    "Slack": ("xoxb-1234567890-abcdefghij", "posting with {}"),
    "wandb": ("0123456789abcdef" * 2 + "01234567", "wandb: Appending key: {}"),
    "JSON web token": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl", "header {}"),
    "bearer": ("mF_9.B5f-4.1JqM", "Authorization: Bearer {}"),
    "password": ("hunter2!", "password={} refused"),
    "password in quotes": ("my secret one", 'db_password: "{}"'),
    "API key": ("k-42-k-42", "WANDB_API_KEY={}"),
    "private key": ("MIIEvQIBADANBg", "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----"),
    "login in an address": ("anna:hunter2", "git+https://{}@git.klinik-nord.de/seg/nnUNet.git"),
    "token in an address": ("s3cr3tv4lu3", "https://pypi.org/simple?token={}"),
    "password in JSON": ("hunter2", '{{"password": "{}", "port": 1}}'),
    "password in JSON in JSON": ("hunter2", '"{{\\"password\\": \\"{}\\"}}"'),
    "password of a database": ("hunter2", "PGPASSWORD={} psql"),
    "password, short": ("hunter2", "DB_PASS={}"),
    "password, Chinese": ("hunter2", "\u5bc6\u7801\uff1a{}"),
    "password, full-width colon": ("hunter2", "password\uff1a{}"),
    "password as an option": ("hunter2", "login --db-password {} --port 3"),
    "password of curl": ("hunter2", "curl -u anna:{} https://pacs.klinik-nord.de"),
    "token without a sign": ("k42k42k42k42", "HF_TOKEN {}"),
    "wandb, on premises": ("local-" + "0123456789abcdef" * 2 + "01234567", "key {}"),
    "npm": ("npm_" + "aB3d" * 9, "{}"),
    "prefixed key": ("dop_v1_" + "0a1b2c3d" * 8, "{}"),
    "bucket": ("wJalrXUtnFEMI", "s3://AKIAIOSFODNN7EXAMPLE:{}/K7MDENG@bucket/raw"),
    "licence key": ("ABCD-EFGH-1234-5678", "activated with {} today"),
    "licence key by its name": ("M-9981", "licence key: {}"),
    "base 64": ("Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4MTIz", "got {}"),
    "Azure": ("Zm9vAbCdEf==", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=core"),
    "Azure, signature of an address": ("Zm9vAbCdEf%3D", "https://a.blob.core.windows.net/raw?sv=2024-01-01&sig={}"),
    "Google": ("ya29.a0AfB_byC1d-2e3", "access with {} is over"),
    "Google, client": ("GOCSPX-aB3_cD4-eF5gH6iJ7kL8", "client {}"),
    "SendGrid": ("SG.aBcDeFgH_1234.k-LmNoPqRsTuVwXyZ", "mail by {}"),
    "GitLab, runner": ("glrt-t1_aBcDeFgH12345678", "registered with {}"),
    "webhook": ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "{}"),
    "NVIDIA": ("nvapi-aB3_cD4-eF5gH6iJ7kL8mN9oP0", "docker login nvcr.io with {}"),
    "Vault": ("hvs.CAESIJ1aB2cD3eF4gH5iJ6", "vault says {}"),
    "Stripe": ("sk_" + "live_" + "aB3d5fG7hJ9k", "{}"),
    "Databricks": ("dapi" + "0123456789abcdef" * 2, "{}"),
    "password of MySQL": ("hunter2", "mysql -u anna -p{} studies"),
    "password of a registry": ("hunter2", "docker login -u anna -p {} registry"),
    "password behind a word": ("hunter2", "passwd {}"),
    "password with digits behind a word": ("hunter2", "the password {} is wrong"),
    "password of letters behind a word": ("geheim", "passwd {}"),
    "password of netrc": ("geheim", "machine x login anna password {}"),
    "password of smbclient": ("hunter2", "smbclient //nas/raw -U anna%{}"),
    "password of sshpass": ("hunter2", "sshpass -p {} ssh node"),
    "session": ("7FabcDE9k2", "Cookie: session={}; path"),
    "cookie": ("s%3Aabcdef", "Set-Cookie: connect.sid={}"),
    "public key": ("AAAAB3NzaC1yc2EAAAADAQABAAABgQC7/x+Kz", "ssh-rsa {} anna@gpu"),
    "public key, short": ("AAAAC3NzaC1lZDI1NTE5AAAAIKz", "ssh-ed25519 {}"),
    "fingerprint": ("k3x9Zz0Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2", "key fingerprint is SHA256:{}."),
    "a mixture of letters and digits": ("q7FabC2dE9kLmN4pQrS8", "got {} back"),
    "Telegram": ("AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "bot 1234567890:{}"),
}
PEOPLE = {
    "e-mail": ("a.mueller+nnunet@klinik-nord.de", "mail to {}"),
    "host": ("gpu07.radiologie.klinik-nord.de", "cannot reach {}: timed out"),
    "host of an intranet": ("nas-03.intern", "mount of {} is gone"),
    "user at host": ("amueller@gpu07", "ssh {}"),
    "IPv4": ("10.17.4.23", "connect to {} port 22"),
    "IPv6": ("fe80:0:0:0:1ff:fe23:4567:890a", "from {}"),
    "hardware address": ("00:1b:44:11:3a:b7", "device {}"),
    "private address": ("klinik-nord", "http://pacs.klinik-nord.de:8042/studies"),
    "owner of a fork": ("annamueller", "git+https://github.com/annamueller/nnUNet"),
    "home": ("amueller", "No such file: /home/amueller/seg/train.py"),
    "home with blanks": ("Anna M\u00fcller", "cannot open 'C:\\Users\\Anna M\u00fcller\\x.txt'"),
    "home, escaped": ("amueller", "FileNotFoundError: 'C:\\\\Users\\\\amueller\\\\data'"),
    "home with blanks, bare": ("Mueller", "Error in C:\\Users\\Anna Mueller\\nnUNet_raw\\x: gone"),
    "server": ("radiologie-nas", "\\\\radiologie-nas\\studie$\\nnUNet_raw is away"),
    "mount": ("klinikstudie", "/mnt/klinikstudie/nnUNet_raw is read-only"),
    "Chinese": ("\u738b\u5c0f\u660e", "/home/\u738b\u5c0f\u660e/\u6570\u636e: Permission denied"),
    "Mac": ("amueller", "/Users/amueller/Library/x"),
    "file address": ("amueller", "file:///home/amueller/nnUNet"),
    "case": ("Schmidt_Karl_1957", "cannot read imagesTr/Schmidt_Karl_1957_0000.nii.gz"),
    "IPv4 of a variable": ("10.17.4.23", "MASTER_ADDR={}"),
    "IPv4 in a host": ("10.17.4.23", "{}-gpu is away"),
    "IPv6, short": ("fe80::1ff:fe23:4567:890a", "from {}%eth0"),
    "IPv6 with a port": ("2a02:908::1", "at [{}]:22"),
    "hardware address, of a switch": ("001b.4411.3ab7", "mac {}"),
    "hardware address, bare": ("001B44113AB7", "mac={}"),
    "telephone": ("+49 761 270 12345", "call {}"),
    "e-mail that hides": ("a.mueller", "write to {} [at] klinik-nord.de"),
    "host of a variable": ("klinik-nord", "https_proxy=proxy.{}.org:3128"),
    "host of a mount": ("klinik-nas", "{}:/export/radio on /mnt/x"),
    "host of a kernel's message": ("klinikserver", "nfs: server {} not responding, timed out"),
    "host of Slurm": ("knoten", "slurmstepd: error: *** JOB 47 ON {} CANCELLED AT 2026-01-01T00:00:00 ***"),
    "host of srun": ("knoten", "srun: error: {}: task 0: Killed"),
    "host by its name": ("knoten", "SLURM_NODELIST={}"),
    "user by its name": ("amueller", "SLURM_JOB_USER: {}"),
    "path list": ("amueller", "LD_LIBRARY_PATH=/usr/lib:/home/{}/lib"),
    "bind mount": ("amueller", "bind:/home/{}:/data:ro"),
    "option with a path": ("amueller", "ld -L/home/{}/lib"),
    "coloured path": ("amueller", "\x1b[31m/home/{}/x\x1b[0m"),
    "home of another": ("amueller", "cannot read ~{}/x"),
    "home with blanks, POSIX": ("M\u00fcller", "No such file or directory: /home/Anna {}/x"),
    "drive with slashes": ("amueller", "C:/Users/{}/nnUNet_raw is missing"),
    "long path of Windows": ("amueller", "\\\\?\\C:\\Users\\{}\\x"),
    "server with slashes": ("radiologie", "//nas/{}/x.nii.gz"),
    "case with blanks": ("Schmidt", "imagesTr/{} Karl 1957_0000.nii.gz is broken"),
    "case with a comma": ("Schmidt", "imagesTr/{}, Karl_0000.nii.gz is broken"),
    "case that is named": ("Schmidt", "Error in case {}_Karl_7"),
    "cases in a list": ("Schmidt", "case_identifiers: ['Meier_Hans', '{}_Karl']"),
    "case in a record": ("Schmidt", "{{'identifier': '{}_Karl'}}"),
    "account of wandb": ("mueller-ag", "wandb: Currently logged in as: {} (klinik). Use --relogin"),
    "team of wandb": ("mueller-ag", "wandb: Currently logged in as: a ({}) to https://api.wandb.ai"),
    "apostrophe, escaped": ("Brien", "[Errno 2] No such file: '/data/x/O\\'{} Mary.nii.gz'"),
    "apostrophe": ("Brien", '[Errno 2] No such file: "/data/x/O\'{} Mary.nii.gz"'),
    "patient": ("Schmidt", "PatientName: {}^Karl"),
    "number of a patient": ("12345678", "PatientID={}"),
    "number of a series": ("1.2.840.113619.2.55.3.6046", "SeriesInstanceUID {}.971.1"),
    "dataset": ("KarlStudie", "Preprocessing dataset Dataset010_{}"),
    "case in a log": ("Schmidt_Karl_1957", "predicting Schmidt_Karl_1957"),
    "user of a domain": ("schmidt", "KLINIK\\{} has no access"),
    "user of a computer": ("karl", "DESKTOP-A1B2C3D\\{}"),
    "computer of a user": ("A1B2C3D", "on DESKTOP-{} since Monday"),
    "user of a domain, by a word": ("schmidt", "user Klinik\\{} is locked"),
    "user of id": ("schmidt", "uid=1001({}) gid=100(users) groups=100(users)"),
    "group of id": ("radiology", "uid=0(root) gid=0(root) groups=0(root),44(video),1002({})"),
    "user of chown": ("schmidt", "chown: invalid user: '{}:radiology'"),
    "group of chown": ("radiology", "chown: invalid user: '1001:{}'"),
    "group of chgrp": ("radiology", "chgrp: invalid group: \u2018{}\u2019"),
    "user that is none": ("schmidt", "id: \u2018{}\u2019: no such user"),
    "user of su": ("schmidt", "su: user {} does not exist"),
    "owner of a file": ("schmidt", "drwxr-xr-x 2 {} radiology 4096 Nov 24 10:00 nnUNet_raw"),
    "group of a file": ("radiology", "-rw-r-----. 1 root {} 4096 Nov 24 10:00 plans.json"),
    "owner by stat": ("schmidt", "Access: (0755/drwxr-xr-x)  Uid: ( 1001/ {})   Gid: (  100/   users)"),
    "user of sudo": ("schmidt", "sudo: {} : user NOT in sudoers ; TTY=pts/0"),
    "user of sudo's question": ("schmidt", "[sudo] password for {}: "),
    "user of sudo's answer": ("schmidt", "{} is not in the sudoers file."),
    "user of a login": ("schmidt", "Accepted publickey for {} from 10.0.0.7 port 22"),
    "user of PAM": ("schmidt", "pam_unix(sshd:session): session opened for user {}(uid=1001) by (uid=0)"),
    "user of ps": ("schmidt", "{}     4711 99.0  1.2 123456  7890 ?  Rl  10:00  1:23 python train.py"),
    "user of top": ("schmidt", " 4711 {}   20   0   12.3g   4.5g   1.2g R  99.0   1.2   1:23.45 python"),
    "user of who": ("schmidt", "{}  pts/0        2026-11-24 10:00 (login)"),
    "user of gpustat": ("schmidt", "[0] NVIDIA A100 | 34'C,   0 % |  5000 / 40960 MB | root(3M) {}(5000M)"),
    "user of squeue": ("schmidt", "   4711       gpu    train  {}  R       1:23      1 node17"),
    "node of squeue": ("knoten17", "   4711       gpu    train  root  R       1:23      1 {}"),
    "user of scontrol": ("schmidt", "   UserId={}(1001) GroupId=users(100) MCS_label=N/A"),
    "account of scontrol": ("radiology", "   Priority=1 Nice=0 Account={} QOS=normal"),
    "node of scontrol": ("knoten", "   BatchHost={}"),
    "node of LSF": ("knoten", "Job was executed on host(s) <8*{}>, in queue <gpu>, as user <root>"),
    "user of LSF": ("schmidt", "Job was executed on host(s) <x>, in queue <gpu>, as user <{}> in cluster <c>."),
    "node of ssh": ("node17", "Connection to {} closed by remote host."),
    "node of ssh, refused": ("node17", "ssh: connect to host {} port 22: Connection refused"),
    "node of ssh, unknown": ("knoten", "ssh: Could not resolve hostname {}: Name or service not known"),
    "node of MPI": ("node17", "[{}:12345] *** Process received signal ***"),
    "node of mpirun": ("knoten", "mpirun noticed that process rank 0 with PID 47 on node {} exited on signal 9"),
    "node of NCCL": ("knoten", "{}:12345:12399 [0] NCCL WARN Call to connect failed"),
    "node of torch": ("knoten", "The client socket has failed to connect to [{}]:29500 (errno: 110)."),
    "node of torch, by its name": ("knoten", "The IPv4 network addresses of ({}, 29500) cannot be retrieved"),
    "node of torchrun": ("knoten", "  host      : {}\n  rank      : 0 (local_rank: 0)"),
    "node of slurmstepd": ("knoten", "slurmstepd-{}: error: Detected 1 oom_kill event in StepId=47.0."),
    "node of syslog": ("dgx-karl", "Nov 24 10:00:00 {} kernel: NVRM: Xid (PCI:0000:65:00): 79"),
    "node of syslog, to the second": ("dgx-karl", "2026-11-24T10:00:00.123456+01:00 {} kernel: NVRM: Xid"),
    "number of a patient, medical": ("00123456", "MRN 00123456 is left out"),
    "number of a patient, Chinese": ("00123456", "\u4f4f\u9662\u53f7\uff1a{}"),
    "birthday": ("19570302", "DOB 19570302"),
    "birthday, written": ("02.03.1957", "geb. {}"),
    "birthday, Chinese": ("1957\u5e743\u67082\u65e5", "\u51fa\u751f\u65e5\u671f\uff1a{}"),
    "patient, Chinese": ("\u5f20\u4e09", "\u60a3\u8005{}\u7684\u56fe\u50cf"),
    "patient, Chinese, at the end": ("\u738b\u5c0f\u660e", "\u75c5\u4eba\uff1a{}"),
    "patient, by a title": ("Schmidt", "as Dr. {} has said"),
    "patient of DICOM": ("Schmidt", "reading {}^Karl^^ now"),
    "patient of dcmdump": ("Schmidt", "(0010,0010) PN [{}, Karl]         #  12, 1 PatientName"),
    "patient with both names": ("Schmidt", "no image of patient Karl {} is left"),
}
NASTY = TOKENS | PEOPLE


@pytest.mark.parametrize("case", NASTY)
def test_texts_lose_what_is_private(case: str) -> None:
    """Error messages, reasons, sources and lines of logs are searched for tokens, addresses, hosts and paths."""
    secret, text = NASTY[case]
    shown = Redactor().text(text.format(secret))

    assert secret not in shown
    assert secret.split("@")[0] not in shown


@pytest.mark.parametrize("case", NASTY)
def test_facts_lose_what_is_private(case: str) -> None:
    """Wherever in a facts file it stands: in a value, a list, a reason or a source."""
    secret, template = NASTY[case]
    text = template.format(secret)
    facts = Facts(dict(machine("linux-cuda-healthy")))
    values = {
        "torch.import_error": text,
        "python.wandb": Unknown(text),
        "dataset.nan": (Detail("imagesTr/x_0000.nii.gz", text),),
        "dataset.json_labels": (Detail(text, text),),
        "nnunet.variables": (Detail("nnUNet_raw", text),),
        "gpu.names": (text,),
    }
    shared = redacted(derive(facts.with_values(values, {"python.version": text})))  # type: ignore[arg-type]
    shown = json.dumps(to_document(shared, "0"), ensure_ascii=False)

    assert secret not in shown
    assert json.dumps(secret)[1:-1] not in shown


def test_names_that_paths_tell_are_taken_out_of_texts() -> None:
    """A user whose home is known is not named in a message that has no path."""
    facts = machine("linux-cuda-healthy").with_values(
        {
            "paths.raw": "/home/amueller/nnUNet_raw",
            "dataset.label_empty": (Detail("labelsTr/Schmidt_Karl.nii.gz", ""),),
            "torch.import_error": "user amueller has no rights; Schmidt_Karl is left out",
        }
    )

    assert redacted(derive(facts))["torch.import_error"] == "user xxxxxxxx has no rights; Xxxxxxx_Xxxx is left out"


def test_a_case_with_blanks_is_one_name_in_messages_too() -> None:
    """The message about one file names another, and the name has an apostrophe and a blank."""
    details = (Detail("labelsTr/O'Brien Mary.nii.gz", "unlike imagesTr/O'Brien Mary_0000.nii.gz"),)
    facts = derive(machine("linux-cuda-healthy").with_values({"dataset.spacing_mismatch": details}))

    assert redacted(facts)["dataset.spacing_mismatch"] == (
        Detail("labelsTr/X'Xxxxx Xxxx.nii.gz", "unlike imagesTr/X'Xxxxx Xxxx_0000.nii.gz"),
    )


def test_names_of_the_session_are_known() -> None:
    """User, home, host and its short name come from the environment; names that everybody has stay."""
    environ = {"USER": "amueller", "HOME": "/home/am", "HOSTNAME": "gpu07", "LOGNAME": "root"}
    redactor = Redactor(names=names_of(environ, ["gpu07.klinik"]))

    assert redactor.text("amueller on gpu07, not root: Error at home of user") == (
        "xxxxxxxx on xxx00, not root: Error at home of user"
    )


SESSION = {
    "in capitals": "KLINIK\\AMUELLER has no access",
    "of a sentence": "Amueller's job",
    "coloured": "\x1b[31mamueller\x1b[0m",
    "within Chinese": "\u7528\u6237amueller\u6ca1\u6709\u6743\u9650",
    "within a host": "gpu-amueller-01 is down",
}


@pytest.mark.parametrize("case", SESSION)
def test_names_of_the_session_are_found_in_any_form(case: str) -> None:
    """In capitals, between Chinese letters, in colours, and as a part of another name."""
    assert "amueller" not in Redactor(names=["amueller"]).text(SESSION[case]).lower()


def test_chinese_names_are_found_where_no_blank_stands() -> None:
    """Chinese sets no blanks between words; a name of the session and the thousandth case are found all the same."""
    name, case = "\u738b\u5c0f\u660e", "\u674e\u56db"
    redactor = Redactor(names=[name])
    for number in range(1000):
        redactor.path(f"case_{number}")
    redactor.path(f"{case}.nii.gz")
    shown = redactor.text(f"\u7528\u6237{name}\u65e0\u6cd5\u8bfb\u53d6\u75c5\u4f8b{case}\u7684\u56fe\u50cf")

    assert (name in shown, case in shown) == (False, False)
    assert shown.startswith("\u7528\u6237")


def test_known_folders_with_blanks_are_found_in_paths() -> None:
    """A log writes paths without quotes; what is known of this machine tells where a name with blanks ends."""
    redactor = Redactor()
    folder = redactor.path("/data/Studie Weber, M\u00fcnchen/nnUNet_raw")
    shown = redactor.text("reading /data/Studie Weber, M\u00fcnchen/nnUNet_raw/dataset.json now")

    assert shown == f"reading {folder}/dataset.json now"


def test_code_is_not_garbled_by_folders() -> None:
    """Functions and classes of plans keep their names when a folder is called like a part of them; people do not."""
    redactor = Redactor(names=["keller"])
    redactor.path("/data/resample/shape/x")
    plain = ["resample_data_or_seg_to_shape", "torch.nn.modules.conv.Conv3d", "KELLER_plans", "x@keller.de"]

    assert redactor.plain(plain) == [plain[0], plain[1], "xxxxxx_plans", "someone@example.org"]


def test_a_project_is_no_setting() -> None:
    """What users call their project at Weights & Biases is a name, and what switches it on is none."""
    variables = (Detail("nnUNet_wandb_project", "Keller secret"), Detail("nnUNet_wandb_enabled", "1"))
    facts = derive(machine("linux-cuda-healthy").with_values({"nnunet.variables": variables}))

    assert redacted(facts)["nnunet.variables"] == (Detail("nnUNet_wandb_project", "Xxxxxx xxxxxx"), variables[1])


def test_values_under_names_of_secrets_are_left_out() -> None:
    """A key of JSON tells that its value is one."""
    plain = {"wandb": {"api_key": "k42", "project": "colon"}, "password": ["a", "b"], "tokens": 7}

    assert Redactor().plain(plain) == {
        "wandb": {"api_key": "(removed)", "project": "colon"},
        "password": "(removed)",
        "tokens": 7,
    }


HARMLESS = (
    "nvidia-cublas-cu12 12.4.5.8, cuDNN version 9.1.0.70, nvidia-cudnn-cu12==9.1.0.70",
    "RuntimeError: c10::Error in at::native::add, std::string",
    "in case of doubt, case closed; this user: nobody",
    "Using splits from existing split file: 5 splits",
    "This split has 8 training and 2 validation cases.",
    "loading tokenizer, 512 tokens; key error: patch size",
    "Dataset010_ is no name",
    "train_loss -0.5, epoch 3, in resample_data_or_seg_to_shape",
    "a basic configuration, a secret",
    "torch 2.8.0+cu128, CUDA 12.8, driver 570.86.15, nnU-Net 2.6.2",
    "6.6.87.2-microsoft-standard-WSL2",
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 12020).",
    "see http://www.nvidia.com/Download/index.aspx and https://pytorch.org",
    "RuntimeError: expected scalar type Half but found Float",
    "Epoch time: 152.3 s, 12 GiB/s, train/val, 3d_fullres",
    'File "/usr/lib/python3.11/multiprocessing/process.py", line 314, in _bootstrap',
    "nnunetv2.training.nnUNetTrainer.nnUNetTrainer",
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 10.75 GiB",
    "https://github.com/MIC-DKFZ/nnUNet/issues/2219",
    "/proc/meminfo, /sys/bus/pci, /dev/shm",
    "[cuda:0] [rank0:123] [trainer.py:120] [ForkPoolWorker-1:4711] [epoch:1000]",
    "2026-11-24T10:00:00 INFO trainer: epoch 3",
    "Tue Nov 24 10:00:00 2026 epoch: 3",
    "failed to connect to [localhost]:29500, host memory: 3 GiB, connect to host memory",
    "patient data, patient Name, patient ids; by user code; of user input",
    "uid=0(root) gid=0(root) groups=0(root),44(video),27(sudo)",
    "drwxrwxrwt 2 root root 40 Nov 24 10:00 shm",
    "NT AUTHORITY\\SYSTEM, ERROR\\nTraceback",
    "KeyError: 'getpwuid(): uid not found: 1001'",
    "the password was wrong in step 3, /etc/passwd holds none, passwd file, passphrase for key 12, unexpected token, session=1, signature=(self, x)",
    "_ZN3c105ErrorC2ENS_14SourceLocationESs, cutlass_80_tensorop_s1688gemm_128x128_16x5_nn_align4",
    "glibc-2.17-317.el7.x86_64, ConvTranspose3DBackward0, Float32ToBFloat16",
    "SLURM_JOB_ACCOUNT, exec_host, host : device",
    "\u60a3\u8005\u6570\u636e\uff0c\u60a3\u8005\u7f16\u53f7\uff0c\u60a3\u8005\u4efb\u4f55\u56fe\u50cf",
    "x^2, dx^dy, a**b, 2^10",
)


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts_stay(text: str) -> None:
    """What helps to understand a failure and names nobody is not garbled."""
    assert Redactor(names=["amueller"]).text(text) == text


def test_lines_of_a_cluster_keep_their_shape() -> None:
    """What reads the log still sees where MPI, NCCL and syslog put a node, and the node is one wherever it is named."""
    log = "[node17:12345] *** Process received signal ***\nNov 24 10:00:00 node17 kernel: NVRM: Xid 79 on node17\n"

    assert Redactor().text(log) == log.replace("node17", "xxxx00")


def test_short_names_hide_no_words() -> None:
    """A user called max is replaced where the line names users, and max_num_epochs stays."""
    log = "drwxr-xr-x 2 max max 4096 Nov 24 10:00 x\nmax epochs, max_num_epochs"

    assert Redactor().text(log) == log.replace("2 max max", "2 xxx xxx")


def test_frames_of_installed_packages_stay() -> None:
    """A traceback still tells where it failed; the home above it is gone."""
    line = 'File "/home/amueller/env/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1773'

    assert Redactor().text(line) == line.replace("amueller", "xxxxxxxx")


LOGS = [
    (check, example)
    for check in CHECKS
    for example in check.log_examples
    if example.expect == "cause" or (example.expect == "consequence" and not check.log_cause)
]


@together("check, example", LOGS, lambda check, example: f"{check.id}: {example.name}")
def test_a_log_is_still_understood(check: Check, example: LogExample) -> None:
    """What ended a run is recognised in the log of a bundle too: names of code, of nnU-Net's files and of torch stay."""
    shown = Redactor(names=["amueller", "gpu07"]).text(example.log)

    assert says(check, shown) == example.expect


# --- paths of the same kind ----------------------------------------------------------------------------------------

KINDS = {
    "posix": "/data/klinik/M\u00fcller's Daten/nnUNet_raw/Dataset010_Leber",
    "drive": "D:\\Studie 7\\nnUNet_raw\\Dataset010_Leber",
    "UNC": "\\\\server7\\studie$\\nnUNet_raw",
    "WSL": "\\\\wsl$\\Ubuntu\\home\\wang",
    "AppData": "C:\\Users\\wang\\AppData\\Local\\Packages\\x",
    "home": "~wang/nnUNet_raw",
    "variable": "$DATADIR/klinik",
    "variable of cmd": "%DATADIR%\\klinik",
    "relative": "klinik/nnUNet_raw",
    "quotes": '"/data/klinik"',
    "blank at the end": "/data/klinik ",
    "equals": "=/data/klinik",
    "Chinese": "/home/\u738b\u5c0f\u660e/\u533b\u5b66",
    "emoji": "/home/wang/\U0001f9e0 seg",
    "decomposed": "/Users/Mu\u0308ller/x",
}


def form(path: str) -> object:
    """Return all that a check decides by: flavour, drive, separators, blanks, marks, length, kinds of letters."""
    letters = ["a" if char.isascii() and char.isalnum() else "\u00e4" if not char.isascii() else char for char in path]
    drive = ntpath.splitdrive(path)[0]
    return (
        len(path),
        "".join(letters),
        posixpath.isabs(path),
        len(drive),
        "\\appdata\\" in path.lower(),
        [_encodes(char, encoding) for encoding in ("cp1252", "gbk") for char in path],
    )


def _encodes(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_replaced_by_one_of_the_same_kind(kind: str) -> None:
    """Nothing that a check looks at changes, and every private piece does."""
    path = KINDS[kind]
    shown = Redactor(["cp1252", "gbk"]).path(path)

    assert form(shown) == form(path)
    assert not re.search("(?i)klinik|wang|ller|studie|server7|leber|\u738b|\u533b|\U0001f9e0", shown)
    assert ("$DATADIR" in shown, "%DATADIR%" in shown) == ("$DATADIR" in path, "%DATADIR%" in path)


def test_a_shared_prefix_stays_shared() -> None:
    """What is below a folder is below its replacement; two folders that differ go on to differ."""
    redactor = Redactor()
    raw, case, other = map(redactor.path, ("/data/kim/raw2", "/data/kim/raw2/x/ab_0001.nii.gz", "/data/lee/raw2"))

    assert case.startswith(raw + "/")
    assert case.endswith(".nii.gz")
    assert other != raw


def test_a_case_keeps_its_files_together() -> None:
    """Channels, label and bare id of a case get one name; channel numbers and endings stay."""
    redactor = Redactor()
    names = ["imagesTr/Karl_S_0000.nii.gz", "imagesTr/Karl_S_0001.nii.gz", "labelsTr/Karl_S.nii.gz", "Karl_S"]

    assert [redactor.path(name) for name in names] == [
        "imagesTr/Xxxx_X_0000.nii.gz",
        "imagesTr/Xxxx_X_0001.nii.gz",
        "labelsTr/Xxxx_X.nii.gz",
        "Xxxx_X",
    ]


def test_thousands_of_cases_stay_apart_and_take_no_time() -> None:
    """Names are told apart as far as their length allows, and a large list does not take minutes."""
    redactor = Redactor()
    cases = [f"patient_{number:05d}" for number in range(20_000)]

    assert len({redactor.path(case) for case in cases}) == len(cases)
    assert redactor.text("patient_00007 and patient_19999") == "xxxxxxx_00007 and xxxxxxx_19999"


LONG = {
    "dots": ".",
    "dotted": "a.",
    "letters": "a",
    "digits": "0",
    "slashes": "/",
    "folders": "/a",
    "backslashes": "\\",
    "at": "a@",
    "underlines": "a_",
    "colons": "ab:",
    "dashes": "a-",
    "quotes": "'/a",
    "blanks": "C:/a ",
    "names": "anna ",
    "datasets": "Dataset001_a",
    "escapes": "'/\\'",
    "lists": "case=[",
    "mounts": "a-1:/",
    "keys": "AB12-",
    "passwords": 'password="',
    "homes": "/home/A B ",
    "nodes": "[a-1",
    "domains": "AB\\",
    "owners": "-rw-r--r-- 1 a ",
    "groups": "groups=1(",
    "users": "uid=1(a",
    "letters of both cases": "aB1",
    "sentences of DICOM": "Ab^",
    "accounts": "mysql -a ",
    "answers": "a is not in the sudoer ",
    "patients": "\u60a3\u8005\u5f20",
    "births": "DOB   ",
    "stamps": "Nov 24 10:00:00 a ",
}


@pytest.mark.parametrize("kind", LONG)
def test_odd_lines_take_no_time(kind: str) -> None:
    """A progress bar of a million dots, or what a broken disk leaves in a log, does not keep the doctor busy for hours."""
    text = LONG[kind] * (30_000 // len(LONG[kind]))  # a second at least, where the time grows with the square
    began = time.process_time()
    Redactor(names=["anna"]).text(text)

    assert time.process_time() - began < 0.5


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_taken(text: str) -> None:
    """No text, however odd, ends in an error; a path of it keeps its length, and a second pass its form."""
    redactor = Redactor(["gbk"])

    assert isinstance(redactor.text(text), str)
    if "://" not in text:
        assert len(redactor.path(text)) == len(text)


# --- identifiers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("visible", ["GPU-b2", "GPU-a1b2c3d4-0000-1111-2222-333344445555,GPU-b2", "1", "GPU-ff"])
def test_gpus_are_still_chosen_by_the_beginning_of_their_identifier(visible: str) -> None:
    """Identifiers become numbers, in the list and in CUDA_VISIBLE_DEVICES alike."""
    uuids = ("GPU-a1b2c3d4-0000-1111-2222-333344445555", "GPU-b2b2c3d4-0000-1111-2222-333344445555")
    base = machine("linux-cuda-healthy")
    values: dict[str, Any] = {
        name: (value * 2) if isinstance(value, tuple) and len(value) == 1 else value
        for name, value in base
        if name.startswith("gpu.") and not CATALOGUE[name].derived
    }
    facts = derive(base.with_values(values | {"gpu.count": 2, "gpu.uuids": uuids, "gpu.visible": visible}))
    shared = redacted(facts)

    assert shared["gpu.chosen"] == facts["gpu.chosen"]
    assert "b2c3d4" not in json.dumps(to_document(shared, "0"))


# --- the command ---------------------------------------------------------------------------------------------------


def test_facts_redact_writes_what_check_reads(installation: Installation, tmp_path: Path) -> None:
    """The file names neither the folders of this machine nor the dataset, and gives the very findings of `check`."""
    what = ("10", "-c", "2d", "-f", "0", "--device", "cpu")
    file = tmp_path / "machine.json"
    written = installation.doctor("facts", *what, "--redact", "-o", str(file), USER="amueller")
    text = file.read_text(encoding="utf-8")
    live = json.loads(installation.doctor("check", *what, "--format", "json").stdout)
    replayed = json.loads(installation.doctor("check", "--facts", str(file), "--format", "json").stdout)

    assert written.returncode == 0, written.stderr
    assert [word for word in ("Colon", "colon_0", str(installation.base), "amueller") if word in text] == []
    assert [(item["id"], item["severity"]) for item in replayed["findings"]] == [
        (item["id"], item["severity"]) for item in live["findings"]
    ]
    assert replayed["plan"] == live["plan"]
