package resp

import (
	"strings"
	"testing"
)

func TestACommandIsFoundInAnyCase(t *testing.T) {
	for name, k := range byName {
		if strings.Contains(name, "|") {
			if got := names.find([]byte(name)); got != nil {
				t.Errorf("%q is a subcommand, and was found", name)
			}
			continue
		}
		for _, word := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			if got := names.find([]byte(word)); got != k {
				t.Errorf("%q finds %v", word, got)
			}
		}
	}
	for _, word := range []string{"", "g", "ge", "gett", "g\x05t", "GET\x00", "get ", "@et", strings.Repeat("get", 100)} {
		if got := names.find([]byte(word)); got != nil {
			t.Errorf("%q finds %q", word, got.name)
		}
	}
}
