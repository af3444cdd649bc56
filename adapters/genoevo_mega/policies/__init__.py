"""What leaves a run: policies, exports, films."""
