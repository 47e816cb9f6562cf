#!/bin/sh
# Makes the certificates of one site's MQTT: an authority, the broker's, and one for each device and for the bridge.
#
#   certificates.sh authority DIR [NAME]        DIR/ca.crt and DIR/ca.key: keep the key off the broker
#   certificates.sh broker DIR HOST...          DIR/broker.crt, .key; HOST: each name and address that it is reached by
#   certificates.sh client DIR USER...          DIR/USER.crt, .key for each; USER: as `tagtide site acl` names it
#   certificates.sh revoke DIR USER...          DIR/ca.crl: certificates that are not to be trusted any more
#
# Run again, `broker` and `client` renew: a new key and certificate in the place of the old. Days of validity come from
# the environment: TAGTIDE_CERT_DAYS (default 825 for broker and clients, 3650 for the authority).
set -eu
umask 077

fail() {
    echo "certificates.sh: $*" >&2
    exit 2
}

command=${1:-}
dir=${2:-}
[ -n "$dir" ] || fail "usage: certificates.sh authority|broker|client|revoke DIR NAME..."
shift 2
mkdir -p "$dir"

key() {
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null \
        || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

# The authority's register: what it has signed, which `revoke` needs.
register() {
    mkdir -p "$dir/register"
    [ -f "$dir/register/index.txt" ] || : >"$dir/register/index.txt"
    [ -f "$dir/register/index.txt.attr" ] || echo "unique_subject = no" >"$dir/register/index.txt.attr"
    [ -f "$dir/register/crlnumber" ] || echo 01 >"$dir/register/crlnumber"
    cat >"$dir/register/ca.cnf" <<CNF
[ca]
default_ca = site
[site]
database = $dir/register/index.txt
new_certs_dir = $dir/register
certificate = $dir/ca.crt
private_key = $dir/ca.key
rand_serial = yes
crlnumber = $dir/register/crlnumber
default_md = sha256
default_crl_days = 3650
policy = any
[any]
commonName = supplied
CNF
}

# sign FILE COMMON-NAME EXTENSIONS
sign() {
    [ -f "$dir/ca.key" ] || fail "there is no authority in $dir: certificates.sh authority $dir"
    register
    key "$1.key.new"
    openssl req -new -key "$1.key.new" -subj "/CN=$2" -out "$1.csr"
    printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" "$3" >"$1.ext"
    openssl ca -batch -notext -config "$dir/register/ca.cnf" -days "${TAGTIDE_CERT_DAYS:-825}" \
        -in "$1.csr" -extfile "$1.ext" -out "$1.crt.new" 2>"$1.log" || { cat "$1.log" >&2; exit 1; }
    mv "$1.key.new" "$1.key"
    mv "$1.crt.new" "$1.crt"
    chmod 644 "$1.crt"
    rm -f "$1.csr" "$1.ext" "$1.log"
}

case $command in
authority)
    [ ! -e "$dir/ca.key" ] || fail "$dir/ca.key is there already; another authority needs another directory"
    key "$dir/ca.key"
    openssl req -x509 -new -key "$dir/ca.key" -subj "/CN=${1:-Tagtide site authority}" -sha256 \
        -days "${TAGTIDE_CERT_DAYS:-3650}" -out "$dir/ca.crt" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign"
    chmod 644 "$dir/ca.crt"
    ;;
broker)
    [ $# -gt 0 ] || fail "name the hosts: certificates.sh broker $dir broker.example 192.0.2.7"
    names=
    for host in "$@"; do
        case $host in
        *[!0-9.]*) case $host in *:*) kind=IP ;; *) kind=DNS ;; esac ;;
        *) kind=IP ;;
        esac
        names="$names${names:+,}$kind:$host"
    done
    sign "$dir/broker" "$1" "extendedKeyUsage=serverAuth
subjectAltName=$names"
    ;;
client)
    [ $# -gt 0 ] || fail "name the users: certificates.sh client $dir r1 r2"
    for user in "$@"; do
        case $user in
        ca | broker | */* | "") fail "'$user' cannot be the name of a user" ;;
        esac
        sign "$dir/$user" "$user" "extendedKeyUsage=clientAuth"
    done
    ;;
revoke)
    register
    for user in "$@"; do
        [ -f "$dir/$user.crt" ] || fail "there is no $dir/$user.crt"
        openssl ca -config "$dir/register/ca.cnf" -revoke "$dir/$user.crt" 2>/dev/null \
            || fail "$dir/$user.crt cannot be revoked: was it revoked before?"
    done
    openssl ca -config "$dir/register/ca.cnf" -gencrl -out "$dir/ca.crl" 2>/dev/null
    chmod 644 "$dir/ca.crl"
    ;;
*) fail "usage: certificates.sh authority|broker|client|revoke DIR NAME..." ;;
esac
