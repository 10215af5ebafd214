// Package trainer trains small proxy language models whose losses tell which
// learning rate a large run should use.
//
// The learning rates of one shape train together (Group): their weights are stacked
// and they read the same tokens. Sub-packages say what a run is (config), what it
// reads (data, tokenizer), at which learning rate (schedule), when it has diverged
// (health), and what it leaves on the disk (rundir, safetensors).
//
// A run under a parametrization rule (package mup) has for every module its own initial
// deviation, learning rate, weight decay, Adam ε and multiplier, written out in its
// configuration. Stats are what is measured of modules while a run trains.
//
// It knows no notebook and draws nothing: others read the run directories it writes.
package trainer
