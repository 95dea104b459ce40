package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"slices"
	"time"
)

// tlsConfig reads the files that the URL names.
func (s *settings) tlsConfig() (*tls.Config, error) {
	if !s.tls {
		return nil, nil
	}
	c := &tls.Config{ServerName: s.serverName, MinVersion: tls.VersionTLS12}
	if s.ca != "" {
		pem, err := os.ReadFile(s.ca)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca %s: no certificate in it", s.ca)
		}
	}
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return nil, fmt.Errorf("read cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// connectTimeout is shorter than that of an operation, so that the error says
// what was waited for.
func (s *settings) connectTimeout() time.Duration { return s.timeout * 3 / 4 }

// dialer gives the way to connect to a server.
func (s *settings) dialer(secure *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := net.Dialer{
		Timeout:         s.connectTimeout(),
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, s.connectTimeout())
		defer cancel()
		conn, err := plain.DialContext(ctx, s.network, addr)
		if err != nil {
			return nil, err
		}
		if secure != nil {
			config := secure
			if config.ServerName == "" {
				host, _, _ := net.SplitHostPort(addr)
				config = config.Clone()
				config.ServerName = host
			}
			t := tls.Client(conn, config)
			if err := t.HandshakeContext(ctx); err != nil {
				_ = conn.Close()
				return nil, fmt.Errorf("TLS with %s: %w", addr, err)
			}
			conn = t
		}
		return newGuard(conn, s.mode == sentinel && slices.Contains(s.addrs, addr)), nil
	}
}
