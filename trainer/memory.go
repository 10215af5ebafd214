package trainer

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// memoryBudget is half of what the machine could give away now, in bytes; 0 where it
// does not say.
func memoryBudget() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		if name != "MemAvailable" {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0
		}
		return kb * 1024 / 2
	}
	return 0
}
