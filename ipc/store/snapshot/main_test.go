//go:build unix

package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/ipc/store"
	"prefork/ipc/store/snapshot"
)

// roleEnv names what the test binary does instead of testing, and pathEnv the
// file it does it to.
const (
	roleEnv = "SNAPSHOT_TEST_ROLE"
	pathEnv = "SNAPSHOT_TEST_PATH"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(m.Run())
	case "little-room":
		os.Exit(littleRoom())
	case "die":
		os.Exit(dieSaving())
	default:
		panic("unknown role " + role)
	}
}

// littleRoom saves under a limit of 4 KiB a file, which a write meets as it
// meets a full disk (setrlimit(2), RLIMIT_FSIZE): 0 says that it failed in the
// right way.
func littleRoom() int {
	limit := &unix.Rlimit{Cur: 4096, Max: 4096}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, limit); err != nil {
		fmt.Println(err)
		return 1
	}
	s := store.Private(store.Config{Size: store.MinSize})
	for i := range 200 {
		if _, err := s.Set(context.Background(), fmt.Sprint(i), make([]byte, 100), store.Write{}); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	err := snapshot.Save(context.Background(), os.Getenv(pathEnv), s)
	fmt.Println(err)
	if err == nil {
		return 1
	}
	return 0
}

// dieSaving is killed while it saves: when the store is asked for a value, the
// new file is there.
func dieSaving() int {
	err := snapshot.Save(context.Background(), os.Getenv(pathEnv), deadly{store.Private(store.Config{Size: store.MinSize})})
	fmt.Println(err)
	return 1
}

type deadly struct{ store.Store }

func (deadly) Scan(context.Context, uint64, int) ([]string, uint64, error) {
	return nil, 0, syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// names lists a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
