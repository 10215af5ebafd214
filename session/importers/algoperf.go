package importers

import "slices"

// sniffAlgoPerf recognises the measurements that the AlgoPerf benchmark logs: some
// rows of training steps, some of evaluations.
func sniffAlgoPerf(head []byte) int {
	names := headerNames(head, "accumulated_submission_time")
	if slices.Contains(names, "global_step") && slices.Contains(names, "accumulated_submission_time") {
		return 90
	}
	return 0
}

func scanAlgoPerf(j *job) error {
	j.history("steps and evaluations of an AlgoPerf run")
	if j.first {
		j.cols.note(`"score" is AlgoPerf's time in seconds, not a measure of success`)
	}
	return scanCSV(j)
}
