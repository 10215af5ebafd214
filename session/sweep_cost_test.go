package session

import "testing"

func TestMemoryNote(t *testing.T) {
	for _, tt := range []struct {
		c    Cost
		want string
	}{
		{Cost{}, ""},
		{Cost{Bytes: 38e6}, "at most 38 MB of memory at once"},
		{Cost{Bytes: 38e8, Room: 40e8}, "at most 3.8 GB of memory at once"},
		{Cost{Bytes: 90e9, Room: 40e9}, "90.0 GB of memory for all runs of the largest shape, of which 40.0 GB may be taken: they train in 3 groups"},
	} {
		if got := tt.c.memory(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.c, got, tt.want)
		}
	}
}
