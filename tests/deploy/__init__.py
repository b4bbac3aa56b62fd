"""Tests of the image, the chart, the monitoring and the other files of `deploy`."""
