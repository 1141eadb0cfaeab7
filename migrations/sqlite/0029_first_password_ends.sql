-- Why: first passwords that were made before they ran out have no end. Three days, in milliseconds.
update staff set password_ends_at = updated_at + 259200000
    where must_change_password = 1 and password is not null and password_ends_at is null;
