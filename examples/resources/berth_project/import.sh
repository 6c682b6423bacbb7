# By id, or by name.
terraform import berth_project.shop shop
