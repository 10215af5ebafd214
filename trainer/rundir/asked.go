package rundir

import (
	"encoding/json"
	"path/filepath"
)

// Asked returns the last request made of a run, by whomever; ok is false when there
// was none. A worker that has put a run aside looks for what is wanted of it this way.
func Asked(dir string) (c Control, ok bool) {
	b, err := readSmall(filepath.Join(dir, controlFile))
	if err != nil || json.Unmarshal(b, &c) != nil || c.Request == "" {
		return Control{}, false
	}
	return c, true
}
