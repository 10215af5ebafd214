// Package trainer trains small proxy language models whose losses tell which
// learning rate a large run should use.
//
// The learning rates of one shape train together (Group): their weights are stacked
// and they read the same tokens. Sub-packages say what a run is (config), what it
// reads (data, tokenizer), at which learning rate (schedule), when it has diverged
// (health), and what it leaves on the disk (rundir, safetensors).
//
// It knows no notebook and draws nothing: others read the run directories it writes.
package trainer
