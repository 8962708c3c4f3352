// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

func TestEveryValueIsWithinTheEndOfItsBucketAndNotMuchBelow(t *testing.T) {
	for value := uint64(0); value < 1<<40; value += value/7 + 1 {
		end := bucketEnd(bucket(value))
		if end < value || float64(end-value) > float64(value)/64 {
			t.Fatalf("%d is in a bucket that ends at %d", value, end)
		}
		if bucket(end) != bucket(value) || bucket(end+1) == bucket(value) {
			t.Fatalf("%d is not the end of the bucket of %d", end, value)
		}
	}
}

func TestQuantilesOfAHundredValues(t *testing.T) {
	var h histogram
	for i := 1; i <= 100; i++ {
		h.record(time.Duration(i))
	}
	if h.quantile(0.5) != 50 || h.quantile(0.99) != 99 || h.quantile(1) != 100 || (histogram{}).quantile(0.5) != 0 {
		t.Fatal("wrong quantiles")
	}
}
