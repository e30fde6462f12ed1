package golden

import "testing"

func TestFirstDifference(t *testing.T) {
	for _, c := range []struct {
		name, want, got string
		line            int // 0: none
	}{
		{"equal", "a\nb\n", "a\nb\n", 0},
		{"both empty", "", "", 0},
		{"second line", "a\nb\n", "a\nc\n", 2},
		{"missing newline at the end", "a\n", "a", 1},
		{"got is longer", "a\n", "a\nb\n", 2},
		{"got is shorter", "a\nb\n", "a\n", 2},
		{"golden file is empty", "", "a\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			line, _, _, same := firstDifference([]byte(c.want), []byte(c.got))
			if line != c.line || same != (c.line == 0) {
				t.Errorf("line %d, same %v; want line %d", line, same, c.line)
			}
		})
	}
}
