//go:build unix

package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prefork/ipc/redis"
	"prefork/ipc/store"
)

// authority signs certificates of a test.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key = a.newKey()
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.file, _ = a.sign("ca", a.cert, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	return key
}

// sign writes a certificate and its key into files.
func (a *authority) sign(name string, c *x509.Certificate, key *ecdsa.PrivateKey) (certFile, keyFile string) {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	must(a.t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(a.t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return certFile, keyFile
}

// issue writes a certificate for 127.0.0.1.
func (a *authority) issue(name string, from, to time.Duration) (certFile, keyFile string) {
	return a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(from), NotAfter: time.Now().Add(to),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.newKey())
}

// startTLS starts a server that speaks TLS on a port of its own.
func startTLS(t testing.TB, a *authority, certFile, keyFile, clients string) (s *server, addr string) {
	t.Helper()
	port := freePort(t)
	s = startServer(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", certFile, "--tls-key-file", keyFile,
		"--tls-ca-cert-file", a.file, "--tls-auth-clients", clients)
	return s, fmt.Sprintf("127.0.0.1:%d", port)
}

func TestTLSIsSpokenAndItsFaultsAreNamed(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	good, goodKey := a.issue("server", -time.Hour, time.Hour)
	server, addr := startTLS(t, a, good, goodKey, "no")
	options := "&timeout=500ms&lease=2s"

	s := open(t, "rediss://"+addr+"?ca="+a.file+options)
	_, err := s.Set(ctx, "k", []byte("v"), store.Write{})
	must(t, err)
	if v := server.cli("get", "k"); v != "v" {
		t.Errorf("%q", v)
	}
	server.kill()
	server.start()
	if _, err := s.Set(ctx, "k", []byte("w"), store.Write{}); err != nil {
		t.Errorf("a restart between operations is seen: %v", err)
	}

	old, oldKey := a.issue("old", -2*time.Hour, -time.Hour)
	_, expired := startTLS(t, a, old, oldKey, "no")
	both, bothKey := a.issue("client", -time.Hour, time.Hour)
	_, strict := startTLS(t, a, good, goodKey, "yes")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = silent.Close() }()

	for _, c := range []struct{ name, url, want string }{
		{"expired", "rediss://" + expired + "?ca=" + a.file, "expired"},
		{"wrong name", "rediss://" + addr + "?server_name=other.example&ca=" + a.file, "other.example"},
		{"unknown authority", "rediss://" + addr + "?ca=" + stranger.file, "unknown authority"},
		{"no authority", "rediss://" + addr, "unknown authority"},
		{"no certificate of ours", "rediss://" + strict + "?ca=" + a.file, "certificate required"},
		{"no such file", "rediss://" + addr + "?ca=/nowhere/ca.pem", "/nowhere/ca.pem"},
		{"no certificate in the file", "rediss://" + addr + "?ca=" + goodKey, "no certificate in it"},
		{"another key", "rediss://" + addr + "?ca=" + a.file + "&cert=" + both + "&key=" + goodKey, "private key does not match"},
	} {
		// A server that closes the connection behind its alert may take the
		// alert with it: then it is one that does not answer, which is no
		// error of Open.
		var err error
		until(t, c.name, func() bool {
			var s *redis.Store
			if s, err = redis.Open(ctx, c.url); err == nil {
				_ = s.Close()
			}
			return err != nil
		})
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	mutual := open(t, "rediss://"+strict+"?ca="+a.file+"&cert="+both+"&key="+bothKey+options)
	_, err = mutual.Set(ctx, "k", nil, store.Write{})
	must(t, err)

	// A handshake that is cut, one that is never answered, and one that the
	// server does not know for one.
	cut := startProxy(t, addr)
	cut.cut.Store(100)
	for _, at := range []string{cut.addr, silent.Addr().String(), server.addr()} {
		start := time.Now()
		s := open(t, "rediss://"+at+"?ca="+a.file+options)
		if _, _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "TLS with "+at) {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took > time.Second+slack {
			t.Errorf("took %v", took)
		}
	}
}

// The certificate may expire while the pool runs: new connections say so.
func TestTLSFaultAtRunIsNamed(t *testing.T) {
	a := newAuthority(t)
	good, goodKey := a.issue("server", -time.Hour, time.Hour)
	server, addr := startTLS(t, a, good, goodKey, "no")
	s := open(t, "rediss://"+addr+"?ca="+a.file+"&timeout=500ms&lease=2s")
	_, err := s.Set(ctx, "k", nil, store.Write{})
	must(t, err)
	a.issue("server", -2*time.Hour, -time.Hour) // into the same files
	server.kill()
	server.start()
	_, err = s.Set(ctx, "k", nil, store.Write{})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "expired") {
		t.Fatalf("%v", err)
	}
}
