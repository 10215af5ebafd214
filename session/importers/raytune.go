package importers

import (
	"bytes"
	"slices"
)

// Ray Tune writes a directory a trial: params.json, and the same results a row an
// iteration in result.json (JSON lines, with the configuration in each) and in
// progress.csv.

func sniffRayCSV(head []byte) int {
	names := headerNames(head, "training_iteration")
	if isRayResult(func(name string) bool { return slices.Contains(names, name) }) {
		return 90
	}
	return 0
}

func sniffRayJSON(head []byte) int {
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte{'\n'})
	if !bytes.HasPrefix(line, []byte{'{'}) {
		return 0
	}
	if isRayResult(func(name string) bool { return bytes.Contains(line, []byte(`"`+name+`"`)) }) {
		return 95
	}
	return 0
}

func isRayResult(has func(name string) bool) bool {
	return has("training_iteration") && has("time_total_s") && (has("trial_id") || has("experiment_id") || has("time_this_iter_s"))
}

func scanRayCSV(j *job) error {
	j.history("iterations of a Ray Tune trial")
	return scanCSV(j)
}

func scanRayJSON(j *job) error {
	j.history("iterations of a Ray Tune trial")
	return scanJSON(j)
}
