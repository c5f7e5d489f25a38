# ruff: noqa: F821 - the words of MicroPython's manifest files
"""What ships in a slot of a node: the one list for freezing, for releases and for the simulator.

`product` is "air" or "light"; without it there is everything, for a board that may become either. `claim` adds what
claims an identity, which is flashed beside the program and is part of no release. To freeze one product:
`include("firmware/manifest.py", product="air", claim=False)`.
A test holds it against the tree: a new file is listed here or named there as one that stays behind.
"""

options.defaults(product="", claim=True)


def only(product, *files):
    """These files for that product."""
    return files if options.product in ("", product) else ()


def claiming(*files):
    """These files for what claims."""
    return files if options.claim else ()


package(
    "protocol",
    base_path="..",
    files=(
        "__init__.py",
        "cbor.py",
        "channels.py",
        "cose.py",
        "errors.py",
        "events.py",
        "hmac.py",
        "identity.py",
        "manifest.py",
        "message.py",
        "messages.py",
        "payload.py",
        "reasons.py",
        "records.py",
        "refusals.py",
        "report.py",
        "settings.py",
        "topics.py",
        "trust.py",
        "update.py",
        *claiming("claim.py"),
    ),
)
package(
    "boards",
    files=(
        "__init__.py",
        *only("air", "esp32_air.py", "esp32s3_air.py"),
        *only("light", "esp32_light.py", "esp32s3_light.py"),
    ),
)
package(
    "node",
    files=(
        "__init__.py",
        "app.py",
        "board/__init__.py",
        "board/base.py",
        "board/esp32.py",
        "board/files.py",
        "board/wifi.py",
        "core/__init__.py",
        "core/backoff.py",
        "core/batch.py",
        "core/boots.py",
        "core/breadcrumb.py",
        "core/clock.py",
        "core/commands.py",
        "core/config.py",
        "core/context.py",
        "core/dns.py",
        "core/document.py",
        "core/ed25519.py",
        "core/frames.py",
        "core/health.py",
        "core/integers.py",
        "core/interval.py",
        "core/journal.py",
        "core/log.py",
        "core/mqtt/__init__.py",
        "core/mqtt/errors.py",
        "core/mqtt/packets.py",
        "core/mqtt/parser.py",
        "core/mqtt/queue.py",
        "core/mqtt/session.py",
        "core/mqtt/stats.py",
        "core/orders.py",
        "core/outbox.py",
        "core/provisioned.py",
        "core/recovery.py",
        "core/segment.py",
        "core/sha512.py",
        "core/slots.py",
        "core/sntp.py",
        "core/stats.py",
        "core/supervisor.py",
        "core/timekeeper.py",
        "core/update/__init__.py",
        "core/update/epoch.py",
        "core/update/install.py",
        "core/update/job.py",
        "core/update/judge.py",
        "core/update/payload.py",
        "core/update/proof.py",
        "core/update/pull.py",
        "core/update/record.py",
        "core/update/resident.py",
        "core/update/room.py",
        "core/update/trial.py",
        "core/update/updater.py",
        "drivers/__init__.py",
        "drivers/registry.py",
        "start.py",
        "tasks/__init__.py",
        "tasks/console.py",
        "tasks/heartbeat.py",
        "tasks/link.py",
        "tasks/logs.py",
        "tasks/resolver.py",
        "tasks/supervise.py",
        "tasks/timesync.py",
        "tasks/update.py",
        "tasks/upkeep.py",
        "tasks/wire.py",
        *claiming("tasks/claim.py"),
        *only(
            "air",
            "air/__init__.py",
            "air/quality.py",
            "air/station.py",
            "air/watch.py",
            "drivers/bme280.py",
            "drivers/errors.py",
            "drivers/sen66.py",
            "drivers/sensirion.py",
            "drivers/sensor.py",
            "tasks/air.py",
            "tasks/sampling.py",
        ),
        *only(
            "light",
            "drivers/cse7766.py",
            "drivers/pwm_lamp.py",
            "light/__init__.py",
            "light/arbiter.py",
            "light/control.py",
            "light/counters.py",
            "light/faults.py",
            "light/programme.py",
            "light/report.py",
            "tasks/lamp.py",
            "tasks/light.py",
            "tasks/metering.py",
        ),
    ),
)
