//go:build faults

package faults

import "testing"

func TestMain(m *testing.M) { Main(m) }
