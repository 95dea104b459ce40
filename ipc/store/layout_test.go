package store

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestReferenceGivesTheLayout(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/store.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("Version %d.", magic&0xffff),
		fmt.Sprintf("| 0 - %d | header", offCounters-1),
		fmt.Sprintf("| %d - %d | counters", offCounters, offEpochs-1),
		fmt.Sprintf("| %d - %d | epochs", offEpochs, offShards-1),
		fmt.Sprintf("| from %d | shards of %d words", offShards, shardWords),
		fmt.Sprintf("blocks of %d words", blockWords),
		FormatSize(MinSize)[:3] + " KiB to 1 TiB",
		"key, or name of a lock | 4,096 bytes", "| 1 MiB (1,048,576 bytes)", "| 1,024 |", "| 4,096, for the life",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/reference/store.md does not say %q", want)
		}
	}
	if MaxKey != 4096 || MaxValue != 1048576 || MaxPlaces != 1024 || MaxEpochs != 4096 || MaxSize != 1<<40 {
		t.Error("the limits are others than the page says")
	}
}

func TestGeometryFitsEverySize(t *testing.T) {
	for _, size := range []int64{MinSize, MinSize + 64<<10, 1 << 20, 5 << 20, DefaultSize, 1 << 30, 40 << 30, MaxSize} {
		shards := shardsFor(size)
		g, err := geometryOf(size, shards)
		if err != nil {
			t.Errorf("%s: %v", FormatSize(size), err)
			continue
		}
		if end := int64(g.block(uint64(g.blocks))+blockWords) * 8; end > size {
			t.Errorf("%s: the last block ends at %d", FormatSize(size), end)
		}
		if last := g.bucket(shards-1, ^uint64(0)); last >= g.first {
			t.Errorf("%s: the last bucket is word %d, blocks begin at %d", FormatSize(size), last, g.first)
		}
		if used := float64(g.blocks*blockWords*8) / float64(size); used < 0.6 || size > 1<<20 && used < 0.9 {
			t.Errorf("%s: %.2f of it are blocks", FormatSize(size), used)
		}
	}
	if _, err := geometryOf(64<<10, 1); err == nil {
		t.Error("64 KiB are taken")
	}
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]Config{
		"64MiB": {Size: 64 << 20}, "1GiB": {Size: 1 << 30}, "1.5G": {Size: 3 << 29}, "512K": {Size: 512 << 10}, "1048576": {Size: 1 << 20},
		"64MiB?full=refuse": {Size: 64 << 20, Full: RefuseFull}, "64MiB?full=evict": {Size: 64 << 20},
	} {
		got, err := ParseConfig(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if again, err := ParseConfig(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q: %+v, %v", text, got.String(), again, err)
		}
	}
	for _, text := range []string{"", "x", "64MiB?full=maybe", "64MiB?x=1", "1KiB", "2000GiB", "-1MiB", "NaN", "1e300", "64MB?"} {
		if c, err := ParseConfig(text); err == nil {
			t.Errorf("%q: %+v", text, c)
		}
	}
}
