// Package chart draws the values of package fitting as text: loss against ln η,
// laws, predictions, comparisons, and loss curves of running training.
//
// Every function is pure and returns exactly h lines of display width w, for any
// w, h ≥ 0 and any data, including NaN, ±Inf and nothing at all; h = 0 gives "".
// What does not fit is left out whole: no number is ever cut. The package reads
// no files, keeps no state and computes nothing that fitting has not computed.
//
// The marks are the same everywhere and tell things apart without colour:
//
//	●  measured, used by the fit       ★  η*, or the target of a prediction
//	○  measured, not used              ░  95% interval of η*, or the near-optimal band
//	×  taken out by hand               ◂ ▸ ▴ ▾  only a bound: η* lies that way
//	✖  diverged (at the top edge)      ▲ ▼  a point above or below the picture
//	◆  a validation loss, │ its error  ▸━   the line picked
package chart
