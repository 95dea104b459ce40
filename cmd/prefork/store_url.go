package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// storeDialer connects to a server and says who asks. Its zero value but for
// the address is a server without a password.
type storeDialer struct {
	network, address         string
	user, password, database string
	prefix                   string // of all keys
	tls                      *tls.Config
}

const wantStoreURL = "want redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH"

// storeSchemes are those of one server, and whether they mean TLS.
var storeSchemes = map[string]bool{"redis": false, "rediss": true, "valkey": false, "valkeys": true, "unix": false}

// parseStoreURL reads a URL as package redis does, whose options that matter
// to one connection it knows; a single server can be asked so. Its errors never
// hold the URL: that may hold a password.
func parseStoreURL(text string) (storeDialer, error) {
	scheme, _, _ := strings.Cut(text, "://")
	secure, known := storeSchemes[scheme]
	u, err := url.Parse(text)
	switch {
	case strings.Contains(scheme, "+"):
		return storeDialer{}, usage("give one of them as redis://HOST:PORT; redis-cli -c asks all of a cluster", "--url: %.20s:// names more than one server", scheme)
	case err != nil || !known:
		return storeDialer{}, usage(wantStoreURL, "--url: is no URL of a server")
	case scheme == "unix" && (u.Path == "" || u.Host != ""):
		return storeDialer{}, usage(wantStoreURL, "--url: names no path")
	}
	d := storeDialer{network: "unix", address: u.Path, user: u.User.Username()}
	d.password, _ = u.User.Password()
	host := orElse(u.Hostname(), "127.0.0.1")
	if scheme != "unix" {
		d.network, d.address, d.database = "tcp", net.JoinHostPort(host, orElse(u.Port(), "6379")), strings.Trim(u.Path, "/")
	}
	return d, d.options(u.Query(), secure, host)
}

func (d *storeDialer) options(o url.Values, secure bool, host string) error {
	d.prefix, d.database, d.user = o.Get("prefix"), orElse(o.Get("db"), d.database), orElse(o.Get("username"), d.user)
	if file := o.Get("password_file"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return failed("", "--url: read the password: %w", err)
		}
		d.password = strings.TrimRight(string(text), "\r\n")
	}
	if !secure {
		return nil
	}
	d.tls = &tls.Config{ServerName: orElse(o.Get("server_name"), host), MinVersion: tls.VersionTLS12}
	if file := o.Get("ca"); file != "" {
		text, err := os.ReadFile(file)
		if err == nil {
			d.tls.RootCAs = x509.NewCertPool()
			if !d.tls.RootCAs.AppendCertsFromPEM(text) {
				err = errors.New("holds no certificate")
			}
		}
		if err != nil {
			return failed("", "--url: read ca %s: %w", file, cutPath(err))
		}
	}
	if o.Get("cert") != "" {
		pair, err := tls.LoadX509KeyPair(o.Get("cert"), o.Get("key"))
		if err != nil {
			return failed("", "--url: read cert and key: %w", err)
		}
		d.tls.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// cutPath takes the path out of an error that names it already.
func cutPath(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func (d storeDialer) dial(ctx context.Context) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, d.network, d.address)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		c = tls.Client(c, d.tls)
	}
	w := newWire(c)
	if err := d.greet(ctx, w); err != nil {
		_ = c.Close()
		return nil, err
	}
	return w, nil
}

// greet authenticates, chooses the database and sees that somebody answers.
func (d storeDialer) greet(ctx context.Context, w *wire) error {
	commands := [][]string{}
	switch {
	case d.password != "" && d.user != "":
		commands = append(commands, []string{"AUTH", d.user, d.password})
	case d.password != "":
		commands = append(commands, []string{"AUTH", d.password})
	}
	if d.database != "" {
		commands = append(commands, []string{"SELECT", d.database})
	}
	commands = append(commands, []string{"PING"})
	replies, err := w.roundTrip(ctx, answerTimeout, commands...)
	if err != nil {
		return err
	}
	for i, r := range replies {
		if e, ok := r.(wireError); ok {
			return fmt.Errorf("%s: %w", strings.ToLower(commands[i][0]), e)
		}
	}
	return nil
}
