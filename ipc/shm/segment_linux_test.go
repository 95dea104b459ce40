package shm_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/shm"
)

const magic = 0x7465737400000001

func create(t *testing.T, size int) *shm.Segment {
	t.Helper()
	s, err := shm.Create("test", magic, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestBothSidesSeeTheSameWords(t *testing.T) {
	s := create(t, 1<<16)
	o, err := shm.Open(s.FD(), magic, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	s.Word(1<<16 - 8).Store(42)
	if got := o.Word(1<<16 - 8).Load(); got != 42 {
		t.Fatalf("the other mapping has %d", got)
	}
	if s.Size() != 1<<16 || o.Size() != 1<<16 || o.FD() != -1 {
		t.Fatalf("sizes %d and %d, descriptor %d", s.Size(), o.Size(), o.FD())
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	s.Word(0).Load() // the other's end takes nothing from this one
}

func TestNobodyCanChangeTheSize(t *testing.T) {
	s := create(t, 1<<16)
	for _, size := range []int64{0, 4096, 1 << 20} {
		if err := unix.Ftruncate(s.FD(), size); err != unix.EPERM {
			t.Errorf("ftruncate to %d: %v, want EPERM", size, err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(s.FD()), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != unix.EPERM {
		t.Errorf("one seal more: %v, want EPERM", err)
	}
}

func TestSegmentIsSparseAndNotInherited(t *testing.T) {
	s := create(t, 64<<20)
	var st unix.Stat_t
	if err := unix.Fstat(s.FD(), &st); err != nil {
		t.Fatal(err)
	}
	if used := st.Blocks * 512; used > 1<<20 {
		t.Errorf("a new segment of 64 MiB uses %d bytes", used)
	}
	flags, err := unix.FcntlInt(uintptr(s.FD()), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v: no CLOEXEC", flags, err)
	}
}

func TestForeignDescriptorsAreRefused(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unsealed, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(unsealed) }()
	if err := unix.Ftruncate(unsealed, 4096); err != nil {
		t.Fatal(err)
	}
	s := create(t, 4096)
	for name, open := range map[string]func() (*shm.Segment, error){
		"a file":       func() (*shm.Segment, error) { return shm.Open(int(file.Fd()), magic, 4096) },
		"no seals":     func() (*shm.Segment, error) { return shm.Open(unsealed, magic, 4096) },
		"another size": func() (*shm.Segment, error) { return shm.Open(s.FD(), magic, 8192) },
		"other magic":  func() (*shm.Segment, error) { return shm.Open(s.FD(), magic+1<<16, 4096) },
	} {
		if _, err := open(); !errors.Is(err, shm.ErrForeign) {
			t.Errorf("%s: %v, want ErrForeign", name, err)
		}
	}
	if _, err := shm.Open(s.FD(), magic+1, 4096); !errors.Is(err, shm.ErrVersion) {
		t.Errorf("the next version: %v, want ErrVersion", err)
	}
	if _, err := shm.Open(-1, magic, 4096); !errors.Is(err, unix.EBADF) {
		t.Errorf("no descriptor: %v, want EBADF", err)
	}
	if _, err := shm.Create("odd", magic, 100); err == nil {
		t.Error("100 bytes were taken")
	}
}

func TestWordsOutsidePanic(t *testing.T) {
	s := create(t, 4096)
	for _, offset := range []int{-8, 4, 4096, 4090, 1 << 40} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Word(%d) does not panic", offset)
				}
			}()
			s.Word(offset)
		}()
	}
}

func TestBytesOfAnyLengthComeBack(t *testing.T) {
	for name, s := range map[string]*shm.Segment{"shared": create(t, 1<<16), "private": shm.Private(magic, 1<<16)} {
		for _, length := range []int{0, 1, 7, 8, 9, 100, 1024} {
			text := bytes.Repeat([]byte{0xa5}, length)
			s.Store(64, text)
			got := make([]byte, length)
			s.Load(got, 64)
			if !bytes.Equal(got, text) {
				t.Errorf("%s: %d bytes come back as %x", name, length, got)
			}
		}
		if got := s.Word(0).Load(); got != magic {
			t.Errorf("%s: magic %#x", name, got)
		}
	}
}

func TestOpenTakesAnySizeWhenNoneIsGiven(t *testing.T) {
	s := create(t, 1<<16)
	o, err := shm.Open(s.FD(), magic, 0)
	if err != nil || o.Size() != 1<<16 || len(o.Words()) != 1<<13 {
		t.Fatalf("Open = %v, %v", o, err)
	}
	o.Words()[9].Store(7)
	if got := s.Word(72).Load(); got != 7 {
		t.Errorf("word 9 is %d", got)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWakeEndsAWaitInAnotherMapping(t *testing.T) {
	s := create(t, 4096)
	o, err := shm.Open(s.FD(), magic, 4096)
	if err != nil {
		t.Fatal(err)
	}
	word := s.Word(8)
	woken := make(chan time.Duration, 1)
	go func() {
		began := time.Now()
		for word.Load() == 0 {
			shm.Wait(word, 0, time.Minute)
		}
		woken <- time.Since(began)
	}()
	o.Word(8).Store(1)
	shm.Wake(o.Word(8), 1)
	if d := <-woken; d > 30*time.Second {
		t.Errorf("woken after %v", d)
	}
	began := time.Now()
	shm.Wait(word, 1, time.Millisecond)
	if time.Since(began) < time.Millisecond {
		t.Log("returned early, as it may")
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}
