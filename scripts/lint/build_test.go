package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// maxBinary is what the binary may weigh as it is shipped.
const maxBinary = 10 << 20

// goBuild builds with an environment of its own and gives what it printed.
func goBuild(t *testing.T, env []string, args ...string) (output string, err error) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Dir = root()
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestShippedBinaryIsSmall(t *testing.T) {
	out := filepath.Join(t.TempDir(), "prefork")
	if text, err := goBuild(t, nil, "-trimpath", "-ldflags=-s -w", "-o", out, "./cmd/prefork"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MiB", float64(info.Size())/(1<<20))
	if info.Size() > maxBinary {
		t.Errorf("the binary has %d bytes (max %d)", info.Size(), maxBinary)
	}
}

// cobra imports text/template and leaves it out of a binary that sets no
// template of its own; what is asked here is therefore the linked binary.
func TestBinaryHasNoTemplates(t *testing.T) {
	out := filepath.Join(t.TempDir(), "prefork")
	if text, err := goBuild(t, nil, "-o", out, "./cmd/prefork"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	symbols, err := exec.Command("go", "tool", "nm", out).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"text/template.(*Template).Execute", "html/template.(*Template).Execute"} {
		if strings.Contains(string(symbols), name) {
			t.Errorf("the binary links %s, which switches off the linker's method pruning", name)
		}
	}
}
