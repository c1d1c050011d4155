echo "the $SUITE tests pass"
