//go:build !unix

package snapshot

import "os"

// Without flock nobody can tell a file that was left from one that is being
// written: what is left stays.
func hold(*os.File) (bool, error) { return true, nil }

// place closes first: on Windows an open file cannot be renamed.
func place(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func sweep(_, _, _ string) {}

// syncFolder has nothing to do where a folder cannot be opened as a file.
func syncFolder(string) error { return nil }
