# What real servers need, for a script that is in the repository's folder: Java, Maven, PostgreSQL,
# Python with its clients, and Kafka's jars. Installs what is missing and keeps it in target/real.
# Is sourced, with `program` set to the name of the script that failures shall tell.
suite=$PWD/tests/real
work=$PWD/target/real
mkdir -p "$work"

fail() { # fail SENTENCE: what could not be had
  echo "$program: $1" >&2
  echo "0 passed, 1 failed"
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

updated=no
need() { # need PATH-OR-COMMAND PACKAGE…: installs the first package that can be had
  local what=$1
  shift
  if compgen -G "$what" >/dev/null || command -v "$what" >/dev/null; then return; fi
  if [ $updated = no ]; then
    as_root apt-get update -qq >"$work/apt.log" 2>&1 || fail "apt-get update failed; see $work/apt.log"
    updated=yes
  fi
  for package in "$@"; do
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >>"$work/apt.log" 2>&1; then
      return
    fi
  done
  fail "$what is missing and could not be installed from: $*; see $work/apt.log"
}

need_postgresql() { # its package would start a server of its own
  local dir=/etc/postgresql-common/createcluster.d
  if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then return; fi
  as_root mkdir -p "$dir"
  echo "create_main_cluster = false" | as_root tee "$dir/goldwire-tests.conf" >/dev/null
  local status=0
  (need '/usr/lib/postgresql/*/bin/initdb' postgresql) || status=$?
  as_root rm -f "$dir/goldwire-tests.conf"
  [ $status = 0 ] || exit $status
}

need_pgbouncer() { # unpacked, since its package would start a server of its own
  local dir=$work/pgbouncer
  if command -v pgbouncer >/dev/null || [ -x "$dir/usr/sbin/pgbouncer" ]; then return; fi
  rm -rf "$dir"
  mkdir -p "$dir/packages"
  [ $updated = yes ] || as_root apt-get update -qq >"$work/apt.log" 2>&1 || true
  (cd "$dir/packages" && apt-get download -qq pgbouncer libc-ares2 libevent-2.1-7) >>"$work/apt.log" 2>&1 ||
    fail "pgbouncer could not be fetched; see $work/apt.log"
  local package
  for package in "$dir"/packages/*.deb; do
    dpkg -x "$package" "$dir"
  done
}

need setpriv util-linux
need timeout coreutils
need java openjdk-17-jre-headless default-jre-headless
need mvn maven
need_postgresql
need_pgbouncer
need openssl openssl
need python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || need /nonexistent python3-venv
need cc build-essential
need perl perl
need make make

if ! cmp -s "$suite/pom.xml" "$work/kafka/pom.xml"; then
  rm -rf "$work/kafka"
  mvn -q -B -f "$suite/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$work/kafka" \
    >"$work/mvn.log" 2>&1 || fail "Kafka's jars could not be fetched; see $work/mvn.log"
  cp "$suite/pom.xml" "$work/kafka/pom.xml"
fi
need_registry() { # Apicurio, the newest that runs on Java 17, from Maven Central
  local version=3.0.9 archive
  if [ -f "$work/apicurio/apicurio-registry-app-$version-runner.jar" ]; then return; fi
  mvn -q -B dependency:copy "-Dartifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all" \
    "-DoutputDirectory=$work" >"$work/mvn-registry.log" 2>&1 ||
    fail "the schema registry could not be fetched; see $work/mvn-registry.log"
  archive=$work/apicurio-registry-app-$version-all.tar.gz
  rm -rf "$work/apicurio"
  mkdir "$work/apicurio"
  tar -xzf "$archive" -C "$work/apicurio" || fail "$archive could not be unpacked"
  rm "$archive"
}
need_registry

if ! "$work/venv/bin/python" -c 'import confluent_kafka, standardwebhooks, psycopg2, duckdb, fastavro, authlib, moto.server, boto3, pyarrow' 2>/dev/null; then
  rm -rf "$work/venv"
  python3 -m venv "$work/venv" || fail "a Python environment could not be made in $work/venv"
  "$work/venv/bin/pip" install -q "confluent-kafka[avro,json,protobuf]" standardwebhooks psycopg2-binary duckdb \
    "moto[s3,server]" boto3 pyarrow \
    >"$work/pip.log" 2>&1 || fail "the Python packages could not be fetched; see $work/pip.log"
fi
