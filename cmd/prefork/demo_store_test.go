package main

import (
	"sync"
	"testing"
	"time"
)

func TestDemoKeepsItsThingsOnAServerToo(t *testing.T) {
	_, url := testStore(t)
	d, err := parseStoreURL(url + "?prefix=p:")
	if err != nil {
		t.Fatal(err)
	}
	s := &demoServer{client: storeClient{dial: d.dial, prefix: d.prefix}}
	if err := s.Set("k", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if v, found, err := s.Get("k"); err != nil || !found || string(v) != "v" {
		t.Errorf("%q, %v, %v", v, found, err)
	}
	if err := s.Delete("k"); err != nil {
		t.Error(err)
	}
	if _, found, err := s.Get("k"); err != nil || found {
		t.Errorf("%v, %v", found, err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if _, err := s.Add("n", 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n, err := s.Add("n", 0); err != nil || n != 400 {
		t.Errorf("%d, %v", n, err)
	}
}
