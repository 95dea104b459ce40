package sockets_test

import (
	"net"
	"strings"
	"testing"

	"prefork/sockets"
)

func TestStrategiesAreReadByTheirNames(t *testing.T) {
	for _, name := range []string{"auto", "exclusive", "fair", "rotate", "naive", "blocking"} {
		if s, err := sockets.ParseStrategy(name); err != nil || string(s) != name {
			t.Errorf("ParseStrategy(%q) = %q, %v", name, s, err)
		}
	}
	if s, err := sockets.ParseStrategy(""); err != nil || s != sockets.Auto {
		t.Errorf("the empty strategy is %q, %v; want auto", s, err)
	}
	if _, err := sockets.ParseStrategy("Naive"); err == nil || !strings.Contains(err.Error(), "auto, exclusive, fair") {
		t.Errorf("the error %v does not say what would be right", err)
	}
}

func TestSharedListenerLeavesAndRejoins(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sockets.Share(l)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	got := make(chan error)
	accept := func() {
		c, err := s.Accept()
		if err == nil {
			err = c.Close()
		}
		got <- err
	}
	go accept()
	s.Leave(-1)
	if err := <-got; err != sockets.ErrLeft {
		t.Fatalf("Accept gave %v after Leave", err)
	}
	s.Rejoin()
	go accept()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := <-got; err != nil {
		t.Fatalf("Accept gave %v after Rejoin", err)
	}
}
