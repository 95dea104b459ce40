package main

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server's certificate is checked: against the machine's own authorities, or
// the one that the URL names.
func TestServerMustProveWhoItIs(t *testing.T) {
	site := httptest.NewTLSServer(nil) // for its certificate: of 127.0.0.1 and example.com
	defer site.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: site.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			for {
				if _, err := readReply(r, 1); err != nil { // a command is an array
					break
				}
				_, _ = io.WriteString(c, "+PONG\r\n")
			}
			_ = c.Close()
		}
	}()
	defer func() { _ = l.Close(); <-done }()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: site.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"":                                      "unknown authority",
		"?ca=" + ca:                             "",
		"?ca=" + ca + "&server_name=other.test": "not other.test",
		"?ca=" + none:                           "holds no certificate",
		"?ca=" + none + ".not":                  "no such file",
		"?cert=" + none + "&key=" + none:        "failed to find any PEM data",
	} {
		err := func() error {
			d, err := parseStoreURL("rediss://" + l.Addr().String() + query)
			if err != nil {
				return err
			}
			w, err := d.dial(t.Context())
			if err != nil {
				return err
			}
			return w.conn.Close()
		}()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", query, err, want)
		}
	}
}
